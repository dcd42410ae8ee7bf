"""The local engine: a stand-in for Kubernetes with Argo Workflows on one machine, and no more."""
