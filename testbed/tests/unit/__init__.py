"""Tests of what the testbed decides, without building or running anything."""
