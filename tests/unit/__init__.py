"""Unit tests: no sockets, a virtual clock."""
