"""Tests of libs/argo."""
