"""What comes in: records of the request topic."""
