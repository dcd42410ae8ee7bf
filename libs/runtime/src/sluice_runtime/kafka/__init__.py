"""Kafka for Sluice: durable sends, consumers, verified topics, authentication."""
