"""Decides what a Workflow does next, level-triggered as Argo's own controller."""
