"""What travels from a commit to an environment: `scripts/release --help`, docs/release.md.

Needs nothing but Python and git, so that it is the same in CI and by hand.
"""
