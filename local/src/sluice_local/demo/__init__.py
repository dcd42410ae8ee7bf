"""Sends a book to a running Sluice, shows how its words are counted, and checks the result."""
