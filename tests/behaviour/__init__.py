"""Behaviour suites, written once and run on fakes and on the real thing."""
