"""Public data sets: where they come from, what they hold, and the way into a folder to train on.

Rule: one line in ``PUBLIC`` for each set, whose facts (licence, size) are those that its publisher
states; what is written appears part by part, each whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from masksmith import files
from masksmith.classes import U8, ClassTable
from masksmith.data import written
from masksmith.data.public import cityscapes, hub, pets, voc
from masksmith.data.public.pairs import Content, Pair, translate
from masksmith.errors import DataError, InputError, unknown_name

__all__ = ["PUBLIC", "PublicSet", "get", "named"]


@dataclass(frozen=True)
class PublicSet:
    """The facts about a set, how to have it on this machine, and how to read it there."""

    what: str
    pictures: int
    classes: int
    size: str
    licence: str
    origin: str
    fetch: Callable[[Path], None]
    read: Callable[[Path], Content]
    note: str = ""


PUBLIC: dict[str, PublicSet] = {
    "oxford-pets": PublicSet(
        "cats and dogs", 7349, 2, "0.8 GB", "CC BY-SA 4.0",
        "https://www.robots.ox.ac.uk/~vgg/data/pets/", pets.fetch, pets.read,
        "The border of the animals is ignored. Parts: trainval as train, test as test.",
    ),
    "voc2012": PublicSet(
        "everyday objects", 2913, 21, "2 GB", "flickr terms",
        "https://host.robots.ox.ac.uk/pascal/VOC/voc2012/", voc.fetch_voc, voc.read_voc,
        "The pictures stand under the terms of use of flickr.",
    ),
    "sbd": PublicSet(
        "VOC's, more pictures", 11355, 21, "1.4 GB", "flickr terms",
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/", voc.fetch_sbd, voc.read_sbd,
        "Its train part holds pictures of the val part of voc2012: never train on one and evaluate on the other.",
    ),
    "cityscapes": PublicSet(
        "streets from a car", 3475, 19, "11 GB", "non-commercial",
        "https://www.cityscapes-dataset.com/", cityscapes.fetch, cityscapes.read,
        "Needs a login: put the two archives into the folder of downloads yourself.",
    ),
    "whu-buildings": PublicSet(
        "buildings from the air", 8188, 2, "<7 GB", "CC BY 4.0",
        f"https://huggingface.co/datasets/{hub.WHU}", hub.fetch_whu, hub.read_whu,
        "Tiles of 512×512 pixels, 0.3 m each.",
    ),
    "foodseg103": PublicSet(
        "ingredients of dishes", 7118, 104, "1.3 GB", "Apache 2.0",
        f"https://huggingface.co/datasets/{hub.FOOD}", hub.fetch_food, hub.read_food,
        "Needs the library pyarrow.",
    ),
}  # fmt: skip

# What a written set is made of besides its pairs; the first tells it from somebody's own data.
_OURS = ("SOURCE.txt", "classes.csv", ".part")


def named(name: str) -> PublicSet:
    """The set of that name; RecipeError, with the nearest name, if there is none."""
    if name not in PUBLIC:
        raise unknown_name("public data set", name, PUBLIC, "data")
    return PUBLIC[name]


def get(
    name: str,
    out: Path,
    root: Path,
    *,
    overwrite: bool = False,
    encode: Callable[[U8, ClassTable], bytes],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, int]:
    """Have the set in ``root``, and write it to ``out`` as {train,val,test}/{images,masks}.

    Args:
        name: a key of ``PUBLIC``.
        out: the folder to make.
        root: the folder of downloads; what is there already is not downloaded again.
        overwrite: whether an earlier result in ``out`` may be replaced.
        encode: makes a picture file of a mask of class indices.
        progress: is told how many pairs of how many are written.

    Returns:
        The number of pairs in each part.

    Raises:
        MasksmithError: no network, a folder that is not free, or a set that is not as described.
    """
    wanted = named(name)
    if overwrite:  # known now, and not after an hour of download
        files.check_claim(out, overwrite=True, ours=written.ours(out, *_OURS))
    else:
        is_new = not out.exists()
        files.claim_folder(out, overwrite=False, ours=_OURS)
        if is_new:  # a download that fails leaves nothing behind here
            out.rmdir()
    if out.resolve() == root.resolve():
        raise InputError(
            where=out,
            expected="two folders, one for downloads and one for the result",
            received="the same for both",
            remedy="give another -o or --root",
        )
    wanted.fetch(root)
    content = wanted.read(root)
    files.claim_folder(out, overwrite=overwrite, ours=written.ours(out, *_OURS))
    files.write_text(out / _OURS[0], _about(name, wanted))
    counts: dict[str, int] = {}
    names: list[str] = []
    for done, pair in enumerate(content.pairs):
        progress(done, content.total)
        names += _write(pair, content, out / ".part" / pair.split, encode)
        counts[pair.split] = counts.get(pair.split, 0) + 1
    files.write_text(out / "classes.csv", content.table.to_csv())
    written.write_list(out, names)
    # Only now do the parts appear under their names: half a set is never trained on.
    for part in counts:
        (out / ".part" / part).rename(out / part)
    (out / ".part").rmdir()
    progress(content.total, content.total)
    return counts


def _write(pair: Pair, content: Content, folder: Path, encode: Callable[[U8, ClassTable], bytes]) -> list[str]:
    """Write a pair; the names of its files, as seen from the folder of all parts."""
    # Names come out of the set's own lists, which must not lead out of the folder.
    if Path(pair.name).name != pair.name or pair.name.startswith(".") or "\\" in pair.name:
        raise DataError(
            where=pair.where,
            expected="plain names of pictures",
            received=f'"{pair.name}"',
            remedy="delete the set from the folder of downloads and get it again",
        )
    mask = translate(pair.values(), content.meaning, pair.where)
    files.write_bytes(folder / "masks" / f"{pair.name}.png", encode(mask, content.table))
    files.write_bytes(folder / "images" / f"{pair.name}{pair.suffix}", pair.picture())
    return [f"{pair.split}/masks/{pair.name}.png", f"{pair.split}/images/{pair.name}{pair.suffix}"]


def _about(name: str, wanted: PublicSet) -> str:
    return (
        f"{name}: {wanted.what}\n"
        f"licence: {wanted.licence}\n"
        f"origin: {wanted.origin}\n"
        f"note: {wanted.note}\n"
        f"made with: masksmith data get {name}\n"
        "Pictures are the published files; masks are rewritten as class numbers, 255 being ignored.\n"
    )
