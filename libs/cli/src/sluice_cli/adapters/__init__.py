"""What touches the world: the terminal, files, connections."""
