"""The documents of both APIs, compared with what runs and with their last release."""
