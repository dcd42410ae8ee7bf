"""What comes in: parsed, checked, handed to a service."""
