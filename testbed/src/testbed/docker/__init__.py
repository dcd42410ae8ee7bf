"""Docker, with daemons of its own: images are built with one, containers run with another."""
