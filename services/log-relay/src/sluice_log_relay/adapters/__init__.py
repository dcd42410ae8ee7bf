"""Clients of Kubernetes, and the HTTP server."""
