"""From a model file and pictures to predictions."""
