"""The order of effects; all I/O goes through the ports."""
