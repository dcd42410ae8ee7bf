"""The real parts that Sluice stands on, built from package registries and run on one machine."""
