"""Tests of what predictions are written as."""
