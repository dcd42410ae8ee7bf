"""The ports on Kafka and SQLite, and the consumer of the request topic."""
