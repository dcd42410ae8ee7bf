"""PostgreSQL: settings and connections."""
