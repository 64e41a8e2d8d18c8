"""Pins down public sets: what is written of each, licence before download, one sentence without a network."""

from __future__ import annotations

import json
import shlex
import tarfile
import urllib.error
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from masksmith import classes, images
from masksmith.cli import data as command_line
from masksmith.data import dataset, doctor, public
from masksmith.data.public import download, hub, pairs, pets, voc
from masksmith.errors import DataError, EnvironmentFault, InputError, MasksmithError
from masksmith.outputs.mask import encode_mask
from masksmith.recipe import Recipe

U8 = npt.NDArray[np.uint8]
SIZE = (12, 16)
RNG = np.random.default_rng(0)


def photograph(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), RNG.integers(0, 255, (*SIZE, 3)).astype(np.uint8))


def stripes(*values: int) -> U8:
    """A mask with a row of each value at least."""
    rows = [values[i * len(values) // SIZE[0]] for i in range(SIZE[0])]
    return np.repeat(np.array(rows, np.uint8)[:, None], SIZE[1], axis=1)


def grey(path: Path, mask: U8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def palette(path: Path, mask: U8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask)
    image.putpalette([c for i in range(256) for c in voc.color(i)])
    image.save(path)


def names(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def make_pets(root: Path) -> None:
    base = root / "oxford-iiit-pet"
    for part, of_part in {"trainval": ["Abyssinian_1", "Beagle_2"], "test": ["Sphynx_3"]}.items():
        names(base / "annotations" / f"{part}.txt", [f"{name} 1 1 1" for name in of_part])
        for name in of_part:
            photograph(base / "images" / f"{name}.jpg")
            grey(base / "annotations" / "trimaps" / f"{name}.png", stripes(2, 3, 1))


def make_voc(root: Path) -> None:
    base = root / "VOCdevkit" / "VOC2012"
    for part, of_part in {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}.items():
        names(base / "ImageSets" / "Segmentation" / f"{part}.txt", of_part)
        for name in of_part:
            photograph(base / "JPEGImages" / f"{name}.jpg")
            palette(base / "SegmentationClass" / f"{name}.png", stripes(0, 15, 20, 255))


def make_sbd(root: Path) -> None:
    io, sparse = pytest.importorskip("scipy.io"), pytest.importorskip("scipy.sparse")
    for part, of_part in {"train": ["2008_000002", "2008_000003"], "val": ["2008_000004"]}.items():
        names(root / f"{part}.txt", of_part)
        for name in of_part:
            photograph(root / "img" / f"{name}.jpg")
            mask = stripes(0, 7, 20)
            (root / "cls").mkdir(exist_ok=True)
            boundaries = np.empty((20, 1), object)
            boundaries[:, 0] = [sparse.csc_matrix(SIZE) for _ in range(20)]
            io.savemat(
                root / "cls" / f"{name}.mat",
                {"GTcls": {"Segmentation": mask, "Boundaries": boundaries, "CategoriesPresent": np.array([7, 20])}},
            )


def make_cityscapes(root: Path) -> None:
    for part, city in {"train": "aachen", "val": "munster", "test": "bonn"}.items():
        name = f"{city}_000000_000019"
        photograph(root / "leftImg8bit" / part / city / f"{name}_leftImg8bit.png")
        grey(root / "gtFine" / part / city / f"{name}_gtFine_labelIds.png", stripes(0, 7, 26, 29, 33))


def make_whu(root: Path) -> None:
    base = root / "WHU-Building-Dataset"
    for part in ("train", "val", "test"):
        photograph(base / part / "Image" / "7.tif")
        grey(base / part / "Mask" / "7.tif", stripes(0, 255))
    names(base / ".masksmith-complete", ["0" * 40])


def make_food(root: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    base = root / "FoodSeg103"
    photograph(base / "a.jpg")
    grey(base / "a.png", stripes(0, 2))
    row = {
        "image": {"bytes": (base / "a.jpg").read_bytes(), "path": "1.jpg"},
        "label": {"bytes": (base / "a.png").read_bytes(), "path": "1.png"},
        "id": 1,
    }
    names(base / "id2label.json", [json.dumps({"0": "background", "1": "candy", "2": "egg tart"})])
    (base / "data").mkdir()
    for part, count in {"train": 11, "validation": 2}.items():
        parquet.write_table(pyarrow.Table.from_pylist([row] * count), base / "data" / f"{part}-00000-of-00001.parquet")
    names(base / ".masksmith-complete", ["0" * 40])


# How the set is made, the pairs of each part, and the class index of each stripe.
MADE = {
    "oxford-pets": (make_pets, {"train": 2, "test": 1}, (0, 255, 1)),
    "voc2012": (make_voc, {"train": 2, "val": 1}, (0, 15, 20, 255)),
    "sbd": (make_sbd, {"train": 2, "val": 1}, (0, 7, 20)),
    "cityscapes": (make_cityscapes, {"train": 1, "val": 1}, (255, 0, 13, 255, 18)),
    "whu-buildings": (make_whu, {"train": 1, "val": 1, "test": 1}, (0, 1)),
    "foodseg103": (make_food, {"train": 11, "val": 2}, (0, 2)),
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError(OSError("Temporary failure in name resolution"))

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", refuse)


def get(name: str, tmp_path: Path, **options: bool) -> Path:
    out = tmp_path / "out"
    public.get(name, out, tmp_path / "root", encode=encode_mask, **options)
    return out


def test_each_set_has_its_test() -> None:
    assert set(MADE) == set(public.PUBLIC)


@pytest.mark.parametrize("name", MADE)
def test_what_is_there_becomes_split_folders_without_a_download(name: str, tmp_path: Path) -> None:
    make, counts, stripes_written = MADE[name]
    make(tmp_path / "root")
    seen: list[tuple[int, int]] = []
    out = tmp_path / "out"
    found = public.get(
        name, out, tmp_path / "root", encode=encode_mask, progress=lambda done, total: seen.append((done, total))
    )
    total = sum(counts.values())
    assert found == counts
    assert seen == [(i, total) for i in range(total + 1)]
    assert sorted(p.name for p in out.iterdir()) == sorted(["SOURCE.txt", "classes.csv", "files.txt", *counts])
    originals = {p.read_bytes() for p in (tmp_path / "root").rglob("*") if p.is_file()}
    for part, count in counts.items():
        pictures = sorted((out / part / "images").iterdir())
        assert len(pictures) == count
        for picture in pictures:
            assert picture.read_bytes() in originals
            mask = images.read(out / part / "masks" / f"{picture.stem}.png")
            assert mask.indices_HW is not None
            np.testing.assert_array_equal(mask.indices_HW, stripes(*stripes_written))


@pytest.mark.parametrize("name", MADE)
def test_it_is_ready_to_train_on(name: str, tmp_path: Path) -> None:
    make, counts, stripes_written = MADE[name]
    make(tmp_path / "root")
    settings = Recipe().data
    checkup = doctor.examine(dataset.find(get(name, tmp_path), settings), settings)
    assert not checkup.faults
    assert checkup.decision is not None
    assert checkup.fingerprint is not None
    table = checkup.decision.table
    assert len(table) == (3 if name == "foodseg103" else public.PUBLIC[name].classes)
    assert len(table.ignored) == (name not in {"whu-buildings", "foodseg103"})
    pixels = checkup.fingerprint.class_pixels["train"]
    assert {i for i, n in enumerate(pixels[:-1]) if n} == {s for s in stripes_written if s != 255}
    assert bool(pixels[-1]) == (255 in stripes_written)


def test_classes_keep_names_and_colours(tmp_path: Path) -> None:
    make_voc(tmp_path / "root")
    entries = classes.read_csv(get("voc2012", tmp_path) / "classes.csv")
    assert [(e.name, e.color, e.value, e.ignored) for e in (entries[0], entries[15], entries[-1])] == [
        ("background", (0, 0, 0), 0, False),
        ("person", (192, 128, 128), 15, False),
        ("void", (255, 255, 255), 255, True),
    ]
    make_cityscapes(tmp_path / "root")
    table = public.PUBLIC["cityscapes"].read(tmp_path / "root").table
    assert (table.names[0], table.names[13], table.names[18]) == ("road", "car", "bicycle")


def test_no_two_classes_look_the_same() -> None:
    # The largest set that brings no colours has 104 classes; masks with a palette are read by colour.
    colors = {classes.default_color(i) for i in range(104)} | {(255, 255, 255)}
    assert len(colors) == 105
    assert len({voc.color(i) for i in range(21)} | {(255, 255, 255)}) == 22


def test_the_source_is_written_beside_it(tmp_path: Path) -> None:
    make_pets(tmp_path / "root")
    text = (get("oxford-pets", tmp_path) / "SOURCE.txt").read_text()
    for fact in ("CC BY-SA 4.0", "https://www.robots.ox.ac.uk/~vgg/data/pets/", "masksmith data get oxford-pets"):
        assert fact in text


def test_our_facts_are_those_of_torchvision() -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    assert [(a.url, a.md5) for a in pets.ARCHIVES] == list(datasets.OxfordIIITPet._RESOURCES)
    known = datasets.voc.DATASET_YEAR_DICT["2012"]
    assert (voc.VOC.url, voc.VOC.md5, voc.VOC.filename) == (known["url"], known["md5"], known["filename"])
    assert (voc.SBD.url, voc.SBD.md5) == (datasets.SBDataset.url, datasets.SBDataset.md5)
    from masksmith.data.layouts.named import CITY_CLASSES
    from masksmith.data.public import cityscapes

    labels = [(c.id, c.name, c.color) for c in datasets.Cityscapes.classes if 0 <= c.train_id < 255]
    assert [(label, *entry) for label, entry in CITY_CLASSES.items()] == labels
    assert [c.train_id for c in datasets.Cityscapes.classes if 0 <= c.id < 34] == [
        cityscapes._MEANING[label] for label in range(34)
    ]


# What goes wrong, one sentence each.

BROKEN = {
    "mask value": (make_voc, "voc2012", "VOCdevkit/VOC2012/SegmentationClass/2007_000032.png", "value"),
    "picture missing": (make_voc, "voc2012", "VOCdevkit/VOC2012/JPEGImages/2007_000032.jpg", None),
    "mask missing": (
        make_cityscapes,
        "cityscapes",
        "gtFine/val/munster/munster_000000_000019_gtFine_labelIds.png",
        None,
    ),
    "list missing": (make_pets, "oxford-pets", "oxford-iiit-pet/annotations/test.txt", None),
    "list empty": (make_pets, "oxford-pets", "oxford-iiit-pet/annotations/test.txt", b""),
    "list binary": (make_pets, "oxford-pets", "oxford-iiit-pet/annotations/test.txt", b"\xff\xfe\x00"),
    "name leads out": (make_pets, "oxford-pets", "oxford-iiit-pet/annotations/test.txt", b"../trimaps/x\n"),
    "mask truncated": (make_pets, "oxford-pets", "oxford-iiit-pet/annotations/trimaps/Sphynx_3.png", b"\x89PNG\r\n"),
    "mat empty": (make_sbd, "sbd", "cls/2008_000002.mat", b""),
    "mat broken": (make_sbd, "sbd", "cls/2008_000002.mat", b"MATLAB 5.0 MAT-file" + bytes(range(256)) * 3),
    "mat missing": (make_sbd, "sbd", "cls/2008_000002.mat", None),
    "no pictures": (make_whu, "whu-buildings", "val/Image/7.tif", None),
    "table broken": (make_food, "foodseg103", "data/train-00000-of-00001.parquet", b"PAR1" * 9),
    "names broken": (make_food, "foodseg103", "id2label.json", b"["),
    "names a list": (make_food, "foodseg103", "id2label.json", b'["a", "b"]'),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_set_is_one_sentence_and_never_half_a_set(fault: str, tmp_path: Path) -> None:
    make, name, path, content = BROKEN[fault]
    root = tmp_path / "root"
    make(root)
    spoilt = next(p for p in root.rglob("*") if p.as_posix().endswith(path))
    if content is None:
        spoilt.unlink()
    elif content == "value":
        palette(spoilt, stripes(0, 77))
    else:
        assert isinstance(content, bytes)
        spoilt.write_bytes(content)
    with pytest.raises(DataError) as caught:
        get(name, tmp_path)
    assert "\n" not in str(caught.value)
    assert not any((tmp_path / "out" / part).exists() for part in ("train", "val", "test"))
    # Mended, it can be written over what was begun.
    make(tmp_path / "again")
    assert public.get(name, tmp_path / "out", tmp_path / "again", encode=encode_mask, overwrite=True)


def test_a_folder_with_other_files_is_never_touched(tmp_path: Path) -> None:
    make_pets(tmp_path / "root")
    mine = tmp_path / "out" / "thesis.txt"
    names(mine, ["mine"])
    for overwrite in (False, True):
        with pytest.raises(InputError):
            get("oxford-pets", tmp_path, overwrite=overwrite)
    assert mine.is_file()
    with pytest.raises(InputError, match="two folders"):
        public.get("oxford-pets", tmp_path / "x", tmp_path / "x", encode=encode_mask)


def test_an_earlier_result_is_replaced_only_when_told(tmp_path: Path) -> None:
    make_pets(tmp_path / "root")
    out = get("oxford-pets", tmp_path)
    with pytest.raises(InputError, match="--overwrite"):
        get("oxford-pets", tmp_path)
    (out / "train" / "images" / "Beagle_2.jpg").write_bytes(b"old")
    (out / "train" / "masks" / "Abyssinian_1.png").unlink()
    get("oxford-pets", tmp_path, overwrite=True)
    assert (out / "train" / "images" / "Beagle_2.jpg").read_bytes() != b"old"
    assert (out / "train" / "masks" / "Abyssinian_1.png").is_file()
    own = out / "train" / "images" / "mine.jpg"
    own.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"train/images/mine\.jpg; .*nothing was deleted"):
        get("oxford-pets", tmp_path, overwrite=True)
    assert own.read_bytes() == b"mine"
    assert (out / "train" / "masks" / "Abyssinian_1.png").is_file()


@pytest.mark.parametrize("name", [n for n in MADE if n not in {"cityscapes", "foodseg103"}])
def test_without_a_network_there_is_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        get(name, tmp_path)
    message = str(caught.value)
    assert caught.value.exit_code == 3
    for part in ("https://", "an answer from the network", "name resolution", "start the command again"):
        assert part in message
    assert "\n" not in message
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_not_the_network(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="can be written to"), download.network("https://x", tmp_path):
        raise OSError(28, "No space left on device")


def test_cityscapes_needs_a_login(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"register at https://www\.cityscapes-dataset\.com") as caught:
        get("cityscapes", tmp_path)
    assert "leftImg8bit_trainvaltest.zip" in str(caught.value)
    assert not isinstance(caught.value, EnvironmentFault)


def zipped(folder: Path, path: Path, *, more: str = "") -> None:
    with zipfile.ZipFile(path, "w") as file:
        for part in folder.rglob("*"):
            file.write(part, part.relative_to(folder.parent))
        if more:
            file.writestr(more, "text")


def test_archives_are_unpacked_whole_or_not_at_all(tmp_path: Path) -> None:
    make_cityscapes(tmp_path / "made")
    root = tmp_path / "root"
    root.mkdir()
    zipped(tmp_path / "made" / "leftImg8bit", root / "leftImg8bit_trainvaltest.zip", more="license.txt")
    whole = root / "gtFine_trainvaltest.zip"
    zipped(tmp_path / "made" / "gtFine", whole)
    kept = whole.read_bytes()
    whole.write_bytes(kept[: len(kept) // 2])
    with pytest.raises(DataError, match="delete it and get it again"):
        get("cityscapes", tmp_path)
    assert not (root / "gtFine").exists()
    whole.write_bytes(kept)
    out = get("cityscapes", tmp_path)
    assert len(list((out / "train" / "images").iterdir())) == 1
    with pytest.raises(DataError, match="one without it"):
        download.unpack(whole, "elsewhere")


def test_a_download_is_checked_unpacked_and_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_voc(tmp_path / "made")
    packed = tmp_path / "served.tar"
    with tarfile.open(packed, "w") as file:
        file.add(tmp_path / "made" / "VOCdevkit", "VOCdevkit")
    tools = download.library("torchvision.datasets.utils", "torchvision")
    asked: list[str] = []

    def serve(url: str, root: str, filename: str, md5: str) -> None:
        asked.append(md5)
        (Path(root) / filename).write_bytes(packed.read_bytes())

    monkeypatch.setattr(tools, "download_url", serve)
    # Another year's set in the same folder stays.
    names(tmp_path / "root" / "VOCdevkit" / "VOC2007" / "mine.txt", ["mine"])
    get("voc2012", tmp_path)
    get("voc2012", tmp_path, overwrite=True)
    assert asked == [voc.VOC.md5]
    assert (tmp_path / "root" / "VOCdevkit" / "VOC2007" / "mine.txt").is_file()
    assert not (tmp_path / "root" / ".unpacking").exists()


def test_a_snapshot_is_complete_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, object]] = []

    def serve(repository: str, **options: object) -> None:
        calls.append({"repository": repository, **options})
        if len(calls) == 1:
            raise ConnectionError("cut")
        make_whu(tmp_path / "root")
        (tmp_path / "root" / "WHU-Building-Dataset" / ".masksmith-complete").unlink()

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", lambda *_, **__: SimpleNamespace(sha="abc"))
    monkeypatch.setattr("huggingface_hub.snapshot_download", serve)
    with pytest.raises(EnvironmentFault, match="cut"):
        get("whu-buildings", tmp_path)
    get("whu-buildings", tmp_path)
    get("whu-buildings", tmp_path, overwrite=True)
    assert [(c["repository"], c["repo_type"], c["revision"]) for c in calls] == [(hub.WHU, "dataset", "abc")] * 2
    assert (tmp_path / "root" / "WHU-Building-Dataset" / ".masksmith-complete").read_text() == "abc\n"


def test_a_library_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(EnvironmentFault, match="pip install nothing-of-that-name"):
        download.library("nothing_of_that_name", "nothing-of-that-name")


def test_a_row_without_a_picture_is_one_sentence(tmp_path: Path) -> None:
    for cells in ((None, None), ({"bytes": b"GIF89a"}, {"bytes": b"x"}), ({"bytes": None}, {}), (7, "x")):
        with pytest.raises(DataError, match="a picture and a mask"):
            hub._pair("train", "x", cells, tmp_path / ".label.png", "table, row 0")


def test_a_coloured_mask_has_no_values(tmp_path: Path) -> None:
    photograph(tmp_path / "mask.png")
    with pytest.raises(DataError, match="a coloured picture"):
        pairs.read_values(tmp_path / "mask.png")
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((*SIZE, 3), 4, np.uint8))
    assert (pairs.read_values(tmp_path / "grey.png") == 4).all()
    assert pairs.translate(np.zeros((0, 3), np.int64), {1: 0}, "x").shape == (0, 3)


# The command.


def test_the_list_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    command_line.command("list")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "pictures", "classes", "size", "licence", "what"]
    assert len(lines) == len(public.PUBLIC) + 1
    assert max(map(len, lines)) <= 80
    for line, (name, facts) in zip(lines[1:], public.PUBLIC.items(), strict=True):
        assert line.startswith(name)
        assert line.endswith(facts.what)
        assert facts.licence in line


def test_get_says_the_licence_and_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_pets(tmp_path / "root")
    with pytest.raises(InputError, match="give --yes"):
        command_line.command("get", "oxford-pets", tmp_path / "out", root=tmp_path / "root")
    assert not (tmp_path / "out").exists()
    told = capsys.readouterr().out
    for fact in ("CC BY-SA 4.0", "https://www.robots.ox.ac.uk/~vgg/data/pets/", "0.8 GB"):
        assert fact in told
    command_line.command("get", "oxford-pets", tmp_path / "my [out]", root=tmp_path / "root", yes=True)
    told = capsys.readouterr().out
    assert "2 train, 1 test" in told
    assert shlex.split(told.rpartition("Next: ")[2]) == ["masksmith", "check", str(tmp_path / "my [out]")]


@pytest.mark.parametrize("answer", [True, False])
def test_in_a_terminal_it_waits_for_a_yes(answer: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_pets(tmp_path / "root")
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answer)
    if answer:
        command_line.command("get", "oxford-pets", tmp_path / "out", root=tmp_path / "root", quiet=True)
    else:
        with pytest.raises(InputError, match="nothing was downloaded"):
            command_line.command("get", "oxford-pets", tmp_path / "out", root=tmp_path / "root", quiet=True)
    assert (tmp_path / "out").exists() == answer


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fetch",), "get, list"),
        (("get",), "no name"),
        (("get", "voc2012"), "no -o"),
        (("get", "voc2O12", Path("x")), 'did you mean "voc2012"'),
    ],
)
def test_what_is_missing_is_named(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(MasksmithError, match=words):
        command_line.command(*arguments)
