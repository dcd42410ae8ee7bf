"""Argo CD on the testbed, and a git server for it to read from."""
