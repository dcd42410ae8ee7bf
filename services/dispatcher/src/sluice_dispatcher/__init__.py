"""Turns each request on Kafka into exactly one Argo Workflow."""
