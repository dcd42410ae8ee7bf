"""Sluice's HTTP door: POST a run, read its state, follow its events."""
