"""Publishes the status and the outcome of every Workflow."""
