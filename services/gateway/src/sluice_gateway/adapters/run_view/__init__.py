"""The view of runs: a projection of the request and status topics in SQLite."""
