"""Tests of the checks of tests/platform: each fails on what it is there for."""
