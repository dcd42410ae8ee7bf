"""Tells Kafka what became of every Workflow."""
