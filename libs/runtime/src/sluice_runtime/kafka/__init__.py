"""Kafka as Sluice needs it: durable sends, verified topics, topics folded into SQLite."""
