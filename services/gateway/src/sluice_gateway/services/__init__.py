"""What the gateway decides; knows no HTTP library, no Kafka client, no database."""
