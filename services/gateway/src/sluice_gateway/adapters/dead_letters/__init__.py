"""Dead letters on Kafka: which there are, what they hold, and what was done with them."""
