"""Behaviour suites, written once and run on stand-ins and on the real thing alike."""
