"""What Sluice stands on at AWS, one component for each idea."""
