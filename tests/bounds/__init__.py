"""What every service withstands in the memory that its chart gives it."""
