"""Pins down reading: every layout with every kind of annotation gives the pictures and masks that were written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from corpus import drawn
from corpus.kinds import KINDS, Kind
from corpus.layouts import LAYOUTS, SENSELESS, LaidSet, Layout, side_by_side
from corpus.pictures import CLASSES, U8, Scene, empty, scenes
from masksmith.classes import ClassTable
from masksmith.data import dataset, doctor
from masksmith.data.batches import PairReader
from masksmith.data.dataset import Dataset
from masksmith.errors import DataError
from masksmith.recipe import DataSettings

SCENES = scenes(6)
BY_NAME = {scene.name: scene for scene in SCENES}
CELLS = [(layout, kind) for layout in LAYOUTS for kind in KINDS if (layout, kind) not in SENSELESS]


def read_all(root: Path, kind: Kind) -> tuple[Dataset, PairReader]:
    """Find, check and open a set as training does."""
    settings = DataSettings.model_validate(dict(kind.settings))
    checkup = doctor.examine(dataset.find(root, settings), settings)
    table, fingerprint = checkup.require()
    return checkup.dataset, PairReader(checkup.dataset.pairs, table, fingerprint.preprocessing)


def by_picture(found: Dataset, made: Sequence[str] = tuple(s.name for s in SCENES)) -> dict[str, int]:
    """The place of each scene's pair; a pair's name holds that of its scene."""
    names = [[s for s in made if s in pair.name.rsplit("/", 1)[-1]] for pair in found.pairs]
    assert all(len(n) == 1 for n in names), f"strange names: {[p.name for p in found.pairs]}"
    assert sorted(n[0] for n in names) == sorted(made), "each picture is found once"
    return {n[0]: place for place, n in enumerate(names)}


def class_names(layout: Layout, kind: Kind, classes: int) -> tuple[str, ...] | None:
    """The names that must come out in any order, or None where classes are told apart by their order."""
    if kind.names:
        return kind.names
    if layout.names_values and kind.values:
        return CLASSES if classes == len(CLASSES) else (CLASSES[0], "thing")
    return None


def in_order(mask: U8, table: ClassTable, names: tuple[str, ...] | None, classes: int) -> U8:
    """The mask with the classes in the order of the truth."""
    assert len(table) == classes, table.names
    if names is None:
        return mask
    assert sorted(table.names) == sorted(names)
    order = np.full(256, 255, np.uint8)
    order[: len(names)] = [names.index(name) for name in table.names]
    return order[mask]


def agrees(mask: U8, truth: U8, kind: Kind) -> None:
    """The mask is as near to the truth as the kind allows."""
    assert mask.shape == truth.shape
    assert np.mean(mask == truth) >= kind.least_equal
    for label in np.unique(truth):
        both, either = (mask == label) & (truth == label), (mask == label) | (truth == label)
        assert both.sum() / either.sum() >= kind.least_iou, f"class {label}"


def check(root: Path, laid: LaidSet, layout: Layout, kind: Kind, made: Sequence[Scene]) -> None:
    """What was laid is found, and read as it was written."""
    found, reader = read_all(root, kind)
    assert found.layout == layout.found
    places = by_picture(found, [scene.name for scene in made])
    classes = 1 + max(int(kind.truth(scene).max()) for scene in made)
    names = class_names(layout, kind, classes)
    for scene in made:
        pixels, mask = reader.read(places[scene.name])
        split = laid[scene.name].split
        assert found.pairs[places[scene.name]].split in ({split} if split else {"train", "val", "test"})
        np.testing.assert_array_equal(pixels, laid[scene.name].pixels_HWC)
        agrees(in_order(mask, reader.table, names, classes), kind.truth(scene), kind)


@pytest.mark.parametrize(("layout_name", "kind_name"), CELLS, ids=[" / ".join(cell) for cell in CELLS])
def test_what_is_written_is_read(tmp_path: Path, layout_name: str, kind_name: str) -> None:
    layout, kind = LAYOUTS[layout_name], KINDS[kind_name]
    laid = layout.lay(tmp_path, SCENES, kind)
    check(tmp_path, laid, layout, kind, SCENES)


@pytest.mark.parametrize("kind_name", [name for name, kind in KINDS.items() if kind.ending in {".png", ".tif", ".npy"}])
def test_masks_named_as_their_pictures(tmp_path: Path, kind_name: str) -> None:
    """x.jpg beside x.png: the mask is the one in which nothing is lost."""
    laid = side_by_side(".jpg", "")(tmp_path, SCENES, KINDS[kind_name])
    check(tmp_path, laid, LAYOUTS["side by side"], KINDS[kind_name], SCENES)


# An empty folder does not say whether nothing is there or nobody has looked.
@pytest.mark.parametrize("kind_name", [name for name in KINDS if name != "instance stack"])
def test_a_picture_without_things(tmp_path: Path, kind_name: str) -> None:
    """All background, and not a picture without a mask."""
    made = [*SCENES, empty()]
    laid = LAYOUTS["split folders"].lay(tmp_path, made, KINDS[kind_name])
    check(tmp_path, laid, LAYOUTS["split folders"], KINDS[kind_name], made)


def test_grey_pictures(tmp_path: Path) -> None:
    laid = LAYOUTS["flat"].lay(tmp_path, SCENES, KINDS["index"])
    for name in laid:
        Image.fromarray(BY_NAME[name].grey_HW).save(tmp_path / "images" / f"{name}.png")
    found, reader = read_all(tmp_path, KINDS["index"])
    for name, place in by_picture(found).items():
        pixels, mask = reader.read(place)
        np.testing.assert_array_equal(pixels, BY_NAME[name].grey_HW[..., None])
        np.testing.assert_array_equal(mask, BY_NAME[name].mask_HW)


def test_a_list_in_parquet(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    laid = LAYOUTS["list"].lay(tmp_path, SCENES, KINDS["index"])
    header, *rows = [line.split(",") for line in (tmp_path / "list.csv").read_text("utf-8").splitlines()]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    parquet.write_table(pyarrow.table(columns), tmp_path / "list.parquet")
    (tmp_path / "list.csv").unlink()
    found, reader = read_all(tmp_path, KINDS["index"])
    assert found.layout == "list"
    for name, place in by_picture(found).items():
        assert found.pairs[place].split == laid[name].split
        np.testing.assert_array_equal(reader.read(place)[1], BY_NAME[name].mask_HW)


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("kind", ["struct", "binary"])
def test_parquet_that_holds_the_pictures_is_no_list(tmp_path: Path, shards: int, kind: str) -> None:
    """As sets of Hugging Face do: one short sentence, and not the pictures in it."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    content = bytes(range(256)) * 40
    cell = {"bytes": content, "path": "a.png"} if kind == "struct" else content
    for shard in range(shards):
        table = pyarrow.table({"image": [cell] * 3, "label": [cell] * 3})
        (tmp_path / "data").mkdir(exist_ok=True)
        parquet.write_table(table, tmp_path / "data" / f"train-{shard:05}-of-{shards:05}.parquet")
    for given in (tmp_path, tmp_path / "data", next((tmp_path / "data").iterdir())):
        with pytest.raises(DataError, match="expected a list of paths, received pictures inside the table") as caught:
            dataset.find(given, DataSettings())
        assert len(str(caught.value)) < 600


def test_a_cell_that_is_no_path_is_clipped_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("image,mask\n" + "x" * 9000 + ",y.png\n")
    with pytest.raises(DataError, match="in row 2, which is not") as caught:
        dataset.find(tmp_path / "list.csv", DataSettings())
    assert len(str(caught.value)) < 600 + len(str(tmp_path))


@pytest.mark.parametrize("called", ["instances_{}2017", "trees_{}", "objects-{}-v2", "segmentsOf{}", "{}"])
def test_cocos_own_layout(tmp_path: Path, called: str) -> None:
    """train2017, val2017, annotations/instances_train2017.json, …; "trees" is no part called "tr"."""
    (tmp_path / "annotations").mkdir()
    parts = {"train": SCENES[:4], "val": SCENES[4:]}
    for split, part in parts.items():
        (tmp_path / f"{split}2017").mkdir()
        for scene in part:
            Image.fromarray(scene.pixels_HWC).save(tmp_path / f"{split}2017" / f"{scene.name}.png")
        named = [(scene, f"{scene.name}.png") for scene in part]
        word = split.title() if called.startswith("segments") else split
        drawn.coco(named, tmp_path / "annotations" / f"{called.format(word)}.json")
    found, reader = read_all(tmp_path, KINDS["coco"])
    assert found.layout == "annotation table"
    for name, place in by_picture(found).items():
        assert BY_NAME[name] in parts[found.pairs[place].split]
        mask = in_order(reader.read(place)[1], reader.table, CLASSES, 3)
        agrees(mask, BY_NAME[name].mask_HW, KINDS["coco"])


def test_two_files_for_the_pictures_of_one_part_are_told(tmp_path: Path) -> None:
    """And neither is background in the other's place."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "train").mkdir()
    for scene in SCENES[:2]:
        Image.fromarray(scene.pixels_HWC).save(tmp_path / "train" / f"{scene.name}.png")
    named = [(scene, f"{scene.name}.png") for scene in SCENES[:2]]
    for what in ("cars", "people"):
        drawn.coco(named, tmp_path / "annotations" / f"instances_train_{what}.json")
    with pytest.raises(DataError, match="instances_train_cars.json.*instances_train_people.json"):
        dataset.find(tmp_path, DataSettings())


@pytest.mark.parametrize(
    ("names", "parts"),
    [(("Train", "Validation", "Test"), {"train", "val", "test"}), (("default",), {""})],
)
def test_lists_of_voc_as_tools_write_them(tmp_path: Path, names: tuple[str, ...], parts: set[str]) -> None:
    lists = tmp_path / "ImageSets" / "Segmentation"
    for folder in (tmp_path / "JPEGImages", tmp_path / "SegmentationClass", lists):
        folder.mkdir(parents=True)
    for number in range(3):
        Image.fromarray(SCENES[number].pixels_HWC).save(tmp_path / "JPEGImages" / f"{number}.png")
        Image.fromarray(SCENES[number].mask_HW).save(tmp_path / "SegmentationClass" / f"{number}.png")
    for turn, name in enumerate(names):
        (lists / f"{name}.txt").write_text("".join(f"{number}\n" for number in range(turn, 3, len(names))))
    found = dataset.find(tmp_path, DataSettings())
    assert {p.split for p in found.pairs} == parts
    told = [str(f) for f in found.findings if "the lists name no part" in str(f)]
    assert len(told) == (names == ("default",))
    assert all("default.txt" in line for line in told)


def write_georeferenced(root: Path) -> dict[str, npt.NDArray[np.uint16]]:
    """GeoTIFF pictures in metres, and polygons in degrees."""
    pyproj = pytest.importorskip("pyproj")
    to_degrees = pyproj.Transformer.from_crs(drawn.EPSG, 4326, always_xy=True)

    def place(x: float, y: float) -> tuple[float, float]:
        east, north = drawn.ORIGIN[0] + drawn.PIXEL_M * x, drawn.ORIGIN[1] - drawn.PIXEL_M * y
        longitude, latitude = to_degrees.transform(east, north)
        return longitude, latitude

    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for scene in SCENES:
        drawn.geojson(scene, root / "labels" / f"{scene.name}.geojson", place)
    return {s.name: drawn.geotiff(s, root / "images" / f"{s.name}.tif") for s in SCENES}


def test_polygons_in_degrees_on_pictures_in_metres(tmp_path: Path) -> None:
    written = write_georeferenced(tmp_path)
    found, reader = read_all(tmp_path, KINDS["geojson"])
    for name, place in by_picture(found).items():
        pixels, mask = reader.read(place)
        np.testing.assert_array_equal(pixels, written[name])
        agrees(in_order(mask, reader.table, CLASSES, 3), BY_NAME[name].mask_HW, KINDS["geojson"])


def test_every_cell_is_tried_or_has_its_reason() -> None:
    assert all(layout in LAYOUTS and kind in KINDS and reason for (layout, kind), reason in SENSELESS.items())
    assert len(CELLS) + len(SENSELESS) == len(LAYOUTS) * len(KINDS)


@pytest.mark.parametrize("scene", SCENES, ids=[s.name for s in SCENES])
def test_made_scenes_are_what_they_say(scene: Scene) -> None:
    assert {0, 1, 2} == set(np.unique(scene.mask_HW))
    assert set(np.unique(scene.instances_HW)) == {0, 1, 2, 3}
    assert sum(int(thing.inside_HW.sum()) for thing in scene.things) == int((scene.mask_HW > 0).sum())
