"""The images and docker-compose.yml, on a real Docker."""
