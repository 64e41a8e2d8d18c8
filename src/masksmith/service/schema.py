"""The JSON that the service answers, as /openapi.json describes it.

Rule: a field that is here stays; new ones may come.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

_ERROR = {
    "code": 413,
    "where": "field.png",
    "expected": "at most 67,108,864 pixels",
    "received": "90000×90000 pixels",
    "remedy": "cut it into parts, or use masksmith predict on the machine itself",
    "message": "field.png: expected at most 67,108,864 pixels, received 90000×90000 pixels; cut it into parts, or use "
    "masksmith predict on the machine itself.",
}
_CLASS: dict[str, Any] = {"index": 1, "name": "house", "color": [230, 60, 30]}


def _shown(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class Error(BaseModel):
    """One sentence in its four parts, and whole."""

    code: int
    where: str
    expected: str
    received: str
    remedy: str
    message: str


class ErrorAnswer(BaseModel):
    """What is answered with every code from 400 on."""

    model_config = _shown({"error": _ERROR})
    error: Error


class ClassShare(BaseModel):
    """How much of a picture is of one class."""

    index: int
    name: str
    color: tuple[int, int, int]
    share: float
    """0 … 1, of the pixels that the picture does not call empty."""
    pixels: int


class Figures(BaseModel):
    """What the network found in a picture, in numbers."""

    model_config = _shown(
        {
            "width": 512,
            "height": 384,
            "classes": [{**_CLASS, "share": 0.25, "pixels": 49152}],
            "seconds": 0.18,
            "model": "first",
        }
    )
    width: int
    height: int
    classes: list[ClassShare]
    seconds: float
    """That the network took."""
    model: str


class ClassAbout(BaseModel):
    """One class of a model."""

    index: int
    name: str
    color: tuple[int, int, int]
    tint: tuple[int, int, int]
    """Seen in place of a grey colour over a grey picture, except for the first class."""


class OutputAbout(BaseModel):
    """One thing that can be asked for."""

    name: str
    about: str
    ending: str
    """Of the file's name after NAME_."""


class Limits(BaseModel):
    """What a picture may have."""

    max_bytes: int
    max_pixels: int


class ModelAbout(BaseModel):
    """What a model finds, and what it takes."""

    model_config = _shown(
        {
            "name": "first",
            "classes": [
                {"index": 0, "name": "ground", "color": [0, 0, 0], "tint": [0, 0, 0]},
                {**_CLASS, "tint": [230, 159, 0]},
            ],
            "overlapping": False,
            "channels": 3,
            "dtype": "uint8",
            "runtime": "openvino",
            "precision": "fp32",
            "cleanup": "no regions below 20 px",
            "outputs": [{"name": "mask", "about": "class numbers as PNG with the class colours", "ending": "mask.png"}],
            "limits": {"max_bytes": 50_000_000, "max_pixels": 67_108_864},
        }
    )
    name: str
    classes: list[ClassAbout]
    overlapping: bool
    channels: int
    dtype: str
    runtime: str
    precision: str
    cleanup: str
    """What is cleaned in masks, as masksmith tune has chosen; empty where nothing is."""
    outputs: list[OutputAbout]
    limits: Limits


class ModelNames(BaseModel):
    """The models that can be asked for; the first answers where none is named."""

    model_config = _shown({"models": ["first"]})
    models: list[str]


class State(BaseModel):
    """How the service is."""

    model_config = _shown({"status": "ready"})
    status: str
