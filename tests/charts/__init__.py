"""The Helm chart, as Helm renders it, held to what the services are."""
