"""Exports: files for other programs."""
