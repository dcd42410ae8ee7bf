"""Builds, promotes and rolls back releases: `scripts/release --help`, docs/release.md.

Needs Python and git only, so that it is the same in CI and by hand.
"""
