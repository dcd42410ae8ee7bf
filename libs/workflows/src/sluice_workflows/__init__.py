"""The workflow catalogue, its builders and the compiler behind which Couler lives."""
