"""The real engine of Pulumi, with stand-ins for what cannot be had beside it: the plugins."""
