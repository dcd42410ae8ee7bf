"""Messages, ids, topics and problems: what the parts of Sluice promise each other."""
