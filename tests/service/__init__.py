"""Tests of the service, and what they share."""
