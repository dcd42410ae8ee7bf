"""The commands: they parse, and call a service. They import it when they are typed."""
