"""The real dependencies of Sluice, built from package registries and run on one machine."""
