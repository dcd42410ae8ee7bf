"""A record in, a verdict out."""
