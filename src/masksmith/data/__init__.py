"""The Dataset: found, paired, split, checked, and cut into batches."""
