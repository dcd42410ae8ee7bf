"""The order of what a command does: it asks Sluice by the client, and shows the answer."""
