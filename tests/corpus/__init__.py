"""Made data sets: the same scenes in every layout and every kind of annotation."""
