"""Argo's Workflows: their API, and the fields that Sluice reads and writes."""
