"""What comes in: the API server's watch, and the queue of work that follows from it."""
