"""A few of the labels that ``make reliability`` writes and reads thousands of."""

from __future__ import annotations

from pathlib import Path

from reliability.harness import labelling


def test_labels_come_back_pixel_by_pixel(tmp_path: Path) -> None:
    outcome = labelling.check(40, tmp_path)
    assert outcome.faults == ()
    counts = outcome.counts
    assert (counts["examples"], counts["class tables"], counts["differing"]) == (40, 40, 0)
    assert counts["data sets scanned"]
    written = {"index PNG", "colour PNG", "GeoTIFF", "COG", "NPY", "Zarr", "COCO", "GeoJSON", "LabelMe", "YOLO"}
    drawn = {f"{word} by hand" for word in ("labelme", "cvat", "coco", "yolo", "geojson")}
    assert {f"masks, {word}" for word in written | drawn} <= counts.keys()
