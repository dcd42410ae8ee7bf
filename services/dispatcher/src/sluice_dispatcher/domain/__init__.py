"""What is decided about a request: pure functions and values, without I/O or waiting."""
