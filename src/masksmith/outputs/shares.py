"""The share of each class in each picture, as one CSV."""

from __future__ import annotations

import csv
import io

from masksmith.classes import ClassTable
from masksmith.inference.prediction import Prediction

FILE = "shares.csv"


class SharesCollector:
    """A row for each picture, a column for each class, 0 … 1 of the pixels that are some."""

    def __init__(self, table: ClassTable) -> None:
        self._names = table.names
        self._rows: list[list[str]] = []

    def add(self, name: str, prediction: Prediction) -> None:
        """One picture."""
        shares = prediction.shares()
        picture = prediction.source.name if prediction.source else name
        self._rows.append([picture, *(f"{shares.get(known, 0.0):.6f}" for known in self._names)])

    def finish(self) -> dict[str, bytes]:
        """The one file."""
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([["picture", *self._names], *self._rows])
        return {FILE: out.getvalue().encode("utf-8", "backslashreplace")}
