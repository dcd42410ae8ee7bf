"""`make run`: Kafka, the local engine and the three services as child processes."""
