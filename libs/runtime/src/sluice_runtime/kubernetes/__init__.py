"""Kubernetes as Sluice needs it: one light client, and Argo's Workflows over it."""
