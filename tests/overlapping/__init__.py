"""Tests of classes that overlap, and the data made for them."""
