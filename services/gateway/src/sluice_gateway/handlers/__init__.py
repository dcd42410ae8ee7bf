"""HTTP in, HTTP out: parse, call a service, write the answer."""
