"""The log-relay: the only part of Sluice that may read the logs of pods."""
