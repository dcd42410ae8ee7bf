"""What is delivered to a cluster as a whole: the charts of others, with our values."""
