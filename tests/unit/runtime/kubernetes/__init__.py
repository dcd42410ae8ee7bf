"""Tests of the Kubernetes client."""
