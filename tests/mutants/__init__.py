"""Mutation tests: deliberate faults in the code, and the tests that must fail on them."""
