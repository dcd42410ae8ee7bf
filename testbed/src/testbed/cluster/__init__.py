"""Kubernetes, its node and Argo Workflows: how each is configured and started."""
