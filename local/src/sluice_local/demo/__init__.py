"""Send a whole book to a running Sluice, watch it being counted, and check the result."""
