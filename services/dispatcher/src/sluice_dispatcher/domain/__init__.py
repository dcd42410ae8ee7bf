"""Decisions and values of the dispatcher: pure and synchronous."""
