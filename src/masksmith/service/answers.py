"""What can be asked for a picture: all outputs of the command line, and three that are made for programs and pages.

Rule: an output has the bytes that the command line writes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from masksmith.classes import ClassTable
from masksmith.errors import unknown_name
from masksmith.inference.prediction import Prediction
from masksmith.outputs import OUTPUTS, endings, render
from masksmith.service import own
from masksmith.service.faults import NotAcceptable
from masksmith.service.own import Source
from masksmith.service.schema import OutputAbout


@dataclass(frozen=True)
class Own:
    """An output that only the service has."""

    ending: str
    encode: Callable[[Prediction, Source], bytes]
    about: str


OWN: dict[str, Own] = {
    "figures": Own("figures.json", own.figures, "size, and the share and pixels of each class, as JSON"),
    "layers": Own(
        "layers.png",
        lambda p, _: own.layers(p),
        "PNG: red and blue the class (low and high byte), green the confidence",
    ),
    "picture": Own(
        "picture.png", lambda p, _: own.picture(p), "the picture as RGB PNG of 8 bits, as the overlay shows it"
    ),
}

NAMES: tuple[str, ...] = (*OUTPUTS, *OWN)
"""Every name that ``output`` takes."""

MEDIA: dict[str, str] = {
    "png": "image/png",
    "tif": "image/tiff",
    "json": "application/json",
    "geojson": "application/geo+json",
    "gpkg": "application/geopackage+sqlite3",
    "txt": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "npy": "application/octet-stream",
    "zip": "application/zip",
}
"""Content types by the last ending of a file's name."""

# What is answered where no output is named, by what the client accepts; the first is for who takes anything.
_ACCEPTED: dict[str, str] = {
    "application/json": "figures",
    "image/png": "mask",
    "application/geo+json": "geojson",
    "image/tiff": "geotiff",
    "application/zip": "zarr",
}


def chosen(output: str | None, accept: str) -> str:
    """The output that a request means: the one that it names, else the first that it accepts.

    Raises:
        RecipeError: there is no such output.
        NotAcceptable: nothing that it accepts is answered.
    """
    if output is not None:
        if output not in NAMES:
            raise unknown_name("output", output, NAMES, where="output")
        return output
    for kind in _by_preference(accept or "*/*"):
        for known, name in _ACCEPTED.items():
            if kind in {known, "*/*", f"{known.partition('/')[0]}/*"}:
                return name
    raise NotAcceptable(
        where="Accept",
        expected=f"one of {', '.join(_ACCEPTED)}",
        received=accept,
        remedy="accept one of them, or name an output as in ?output=mask",
    )


def media_type(ending: str) -> str:
    """The content type of a file."""
    return MEDIA[ending.rpartition(".")[2]]


def files(output: str, prediction: Prediction, source: Source) -> dict[str, bytes]:
    """The files of an output by their endings; most have one."""
    if output in OWN:
        return {OWN[output].ending: OWN[output].encode(prediction, source)}
    return render(output, prediction)


def file_endings(output: str, table: ClassTable) -> list[str]:
    """What the files of :func:`files` end with."""
    return [OWN[output].ending] if output in OWN else endings(output, table)


def single(output: str, prediction: Prediction, source: Source, named: Callable[[str], str]) -> tuple[str, bytes]:
    """The one file that is answered, with its ending; of several a ZIP file whose entries ``named`` names."""
    made = files(output, prediction, source)
    if len(made) == 1:
        return next(iter(made.items()))
    return f"{output}.zip", packed({named(ending): content for ending, content in made.items()})


def packed(contents: Mapping[str, bytes]) -> bytes:
    """A ZIP file; what is in it is compressed already, and the same each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def describe(table: ClassTable) -> list[OutputAbout]:
    """What can be asked for of a model of these classes."""
    own = [OutputAbout(name=name, about=one.about, ending=one.ending) for name, one in OWN.items()]
    return [OutputAbout(name=name, about=one.about, ending=_ending(name, table)) for name, one in OUTPUTS.items()] + own


def _ending(name: str, table: ClassTable) -> str:
    """What a client saves it under; several files come as a ZIP file."""
    found = endings(name, table)
    return found[0] if len(found) == 1 else f"{name}.zip"


def _by_preference(accept: str) -> list[str]:
    """The kinds of an Accept header (RFC 9110), the most wanted first; those with the weight 0 are not wanted."""
    weighed: list[tuple[float, str]] = []
    for part in accept.split(","):
        kind, *parameters = (word.strip().lower() for word in part.split(";"))
        weight = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        try:
            weighed.append((float(weight), kind))
        except ValueError:
            continue
    return [kind for weight, kind in sorted(weighed, key=lambda one: -one[0]) if weight > 0]
