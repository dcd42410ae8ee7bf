"""Tests of the pages: what they name exists, and their prose keeps the rules."""
