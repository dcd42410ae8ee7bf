"""End-to-end tests: Sluice as processes, the way a user runs it."""
