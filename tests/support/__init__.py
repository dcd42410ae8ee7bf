"""Fakes, fixtures and helpers that the tests share."""
