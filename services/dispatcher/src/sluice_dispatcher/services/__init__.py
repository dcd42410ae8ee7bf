"""What to do with a request; decides, and leaves all I/O to the ports."""
