"""Tests of producers, consumers and topics."""
