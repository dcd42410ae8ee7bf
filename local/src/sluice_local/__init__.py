"""Sluice on one machine: Apache Kafka, the local engine, the runner and the demo."""
