"""Sluice on one machine: Apache Kafka, the runner and the demo."""
