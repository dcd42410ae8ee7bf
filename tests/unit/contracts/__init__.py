"""Tests of the contracts: pure values in, pure values out."""
