"""The part of the Kubernetes API that Sluice uses, over HTTP."""
