"""Write predictions: one file per output, and two tables.

Rule: an output is bytes made from a Prediction, the same each time; ``files`` alone puts them on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from masksmith.classes import ClassTable
from masksmith.inference.prediction import Prediction
from masksmith.outputs import (
    arrays,
    certainty,
    coco,
    contours,
    geojson,
    geopackage,
    geotiff,
    instances,
    labelme,
    mask,
    overlay,
    probabilities,
    shares,
    yolo,
)
from masksmith.outputs.shaping import Shaping

__all__ = ["COLLECTED", "OUTPUTS", "WORDS", "Collector", "Output", "Shaping", "endings", "render"]


@dataclass(frozen=True)
class Output:
    """One kind of file that a prediction can be written as."""

    ending: str
    """Of the file's name after NAME_, with its suffix."""
    encode: Callable[[Prediction, Shaping], bytes | dict[str, bytes]]
    """The file, or several by their endings."""
    about: str


class Collector(Protocol):
    """Gathers what one file says about all pictures together."""

    def add(self, name: str, prediction: Prediction, called: str = "") -> None:
        """One picture; ``name`` is what its other files begin with, ``called`` goes before its file's name."""
        ...

    def add_large(self, called: str, shares: Mapping[str, float]) -> bool:
        """A picture larger than memory, of which the share of each class is known; False where that is not enough."""
        ...

    def finish(self) -> dict[str, bytes]:
        """Name of a file in the output folder -> its content."""
        ...


OUTPUTS: dict[str, Output] = {
    "mask": Output("mask.png", lambda p, _: mask.encode(p), "class numbers as PNG with the class colours"),
    "color": Output("color.png", lambda p, _: mask.encode_color(p), "the mask as RGB PNG in the class colours"),
    "overlay": Output("overlay.png", lambda p, _: overlay.encode(p), "the mask laid over the picture"),
    "contours": Output("contours.png", lambda p, _: contours.encode(p), "the outlines of regions over the picture"),
    "probabilities": Output(
        "probabilities.tif", lambda p, _: probabilities.encode(p), "a band for each class, 0 to 255, as TIFF"
    ),
    "probabilities16": Output(
        "probabilities16.tif", lambda p, _: probabilities.encode_16(p), "the same as floats of 16 bits, 0 to 1"
    ),
    "confidence": Output(
        "confidence.png", lambda p, _: certainty.encode_confidence(p), "probability of the chosen class, 0 to 255"
    ),
    "entropy": Output("entropy.png", lambda p, _: certainty.encode_entropy(p), "doubt between the classes, 0 to 255"),
    "geotiff": Output("geotiff.tif", lambda p, _: geotiff.encode(p), "class numbers as GeoTIFF, 255 for no pixel"),
    "cog": Output("cog.tif", lambda p, _: geotiff.encode_cog(p), "the same as cloud-optimised GeoTIFF (extra geo)"),
    "geojson": Output("regions.geojson", geojson.encode, "regions as polygons, in longitude and latitude or pixels"),
    "geopackage": Output("regions.gpkg", geopackage.encode, "regions in the picture's own coordinates (extra geo)"),
    "labelme": Output("labelme.json", labelme.encode, "regions as LabelMe JSON, to be corrected by hand"),
    "yolo": Output("yolo.txt", yolo.encode, "outlines as YOLO text; holes are lost"),
    "instances": Output(
        instances.ENDINGS[0], instances.encode, "things with a number each as TIFF, and a table as CSV"
    ),
    "npy": Output("mask.npy", lambda p, _: arrays.encode_npy(p), "class numbers as a NumPy array"),
    "zarr": Output("mask.zarr.zip", lambda p, _: arrays.encode_zarr(p), "class numbers as a Zarr array in a ZIP file"),
}

COLLECTED: dict[str, Callable[[ClassTable, Shaping], Collector]] = {
    "coco": coco.CocoCollector,
    "shares": lambda table, _: shares.SharesCollector(table),
}

WORDS: tuple[str, ...] = (*OUTPUTS, *COLLECTED)
"""Every name that ``--save`` takes."""

# No class's own mask may be called like another output's file.
_TAKEN = frozenset(output.ending.partition(".")[0] for output in OUTPUTS.values())


def endings(output: str, table: ClassTable) -> list[str]:
    """What the files of an output end with; masks of classes that overlap are one for each class."""
    if output == "mask" and table.overlapping:
        return mask.endings(table, _TAKEN)
    return list(instances.ENDINGS) if output == "instances" else [OUTPUTS[output].ending]


def render(output: str, prediction: Prediction, shaping: Shaping = Shaping()) -> dict[str, bytes]:  # noqa: B008 - frozen
    """The files of an output, by their ending."""
    if output == "mask" and prediction.table.overlapping:
        return mask.encode_layers(prediction, _TAKEN)
    made = OUTPUTS[output].encode(prediction, shaping)
    return made if isinstance(made, dict) else {OUTPUTS[output].ending: made}
