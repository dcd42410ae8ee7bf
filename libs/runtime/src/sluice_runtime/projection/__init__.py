"""Topics projected into a SQLite file."""
