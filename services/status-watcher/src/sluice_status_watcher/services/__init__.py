"""The order of effects; no I/O but through ports."""
