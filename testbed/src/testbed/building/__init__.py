"""Build each part once: its result is kept by what it was made from."""
