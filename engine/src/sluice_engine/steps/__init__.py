"""Runs the steps of Workflows as local processes."""
