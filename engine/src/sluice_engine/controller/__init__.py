"""Decides what a Workflow does next, level-triggered like Argo's own controller."""
