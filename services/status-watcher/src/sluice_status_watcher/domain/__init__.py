"""What is decided: pure and synchronous."""
