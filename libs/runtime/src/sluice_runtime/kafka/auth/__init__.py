"""How a client proves to Kafka who it is."""
