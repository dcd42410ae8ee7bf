"""Tests of the testbed itself: what it does to the computer that it runs on."""
