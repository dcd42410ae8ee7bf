"""The contracts between the parts of Sluice: messages, ids, topics and problems."""
