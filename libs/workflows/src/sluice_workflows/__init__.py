"""The workflow catalogue, its builders, and the compiler, which alone uses Couler."""
