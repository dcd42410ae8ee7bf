"""Tests of how a client proves to Kafka who it is."""
