"""A light Kubernetes client: requests, errors and Leases."""
