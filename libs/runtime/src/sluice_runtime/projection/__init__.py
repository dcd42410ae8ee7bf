"""Projections of topics into SQLite files."""
