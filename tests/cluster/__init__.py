"""Tests of a real Kubernetes: how its API server behaves, and what the accounts may do there."""
