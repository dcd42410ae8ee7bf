"""Builds each part once; results are cached by a digest of their sources."""
