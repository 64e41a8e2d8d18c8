"""The share of each class in each picture, as one CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from masksmith.classes import ClassTable
from masksmith.inference.prediction import Prediction

FILE = "shares.csv"


class SharesCollector:
    """A row for each picture, a column for each class, 0 … 1 of the pixels that are some."""

    def __init__(self, table: ClassTable) -> None:
        self._names = table.names
        self._rows: list[list[str]] = []

    def add(self, name: str, prediction: Prediction, called: str = "") -> None:
        """One picture."""
        self.add_large(called or (prediction.source.name if prediction.source else name), prediction.shares())

    def add_large(self, called: str, shares: Mapping[str, float]) -> bool:
        """One of any size."""
        self._rows.append([called, *(f"{shares.get(known, 0.0):.6f}" for known in self._names)])
        return True

    def finish(self) -> dict[str, bytes]:
        """The one file."""
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([["picture", *self._names], *self._rows])
        return {FILE: out.getvalue().encode("utf-8", "backslashreplace")}
