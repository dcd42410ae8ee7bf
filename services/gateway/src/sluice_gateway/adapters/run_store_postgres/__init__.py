"""The view of runs in PostgreSQL: one for all replicas, with a long history."""
