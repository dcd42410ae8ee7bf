"""Sluice's tests."""
