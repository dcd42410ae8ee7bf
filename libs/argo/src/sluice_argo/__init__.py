"""Argo's Workflows: their API, and what Sluice writes on them and reads from them."""
