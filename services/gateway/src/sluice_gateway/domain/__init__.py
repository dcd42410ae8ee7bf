"""Decisions and values of the gateway: synchronous, and without I/O."""
