"""Objects with resource versions, kept in SQLite, with a bounded history for watchers."""
