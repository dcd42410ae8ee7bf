"""What the command decides: synchronous and pure."""
