"""Pins down doctor: every fault of a set is found with its file, and a sound set has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import masksmith
from helpers import write_image, write_set
from masksmith.classes import ClassTable, make_entries
from masksmith.data import dataset
from masksmith.data.doctor import Checkup, examine
from masksmith.errors import DataError
from masksmith.recipe import DataSettings


def checked(root: Path, table: ClassTable | None = None, **settings: object) -> Checkup:
    chosen = DataSettings.model_validate(settings)
    return examine(dataset.find(root, chosen), chosen, table)


def test_sound_set_has_no_fault(tmp_path: Path) -> None:
    found = checked(write_set(tmp_path, values=(0, 1, 2)))
    assert found.faults == []
    table, fingerprint = found.require()
    assert len(table) == 3
    assert fingerprint.pictures == {"train": 3, "val": 3, "test": 3}
    assert fingerprint.sizes == {(40, 48): 9}
    assert found.decision is not None
    assert found.decision.kind == "index"
    for split in ("train", "val", "test"):
        assert sum(fingerprint.class_pixels[split]) == 3 * 40 * 48
        assert fingerprint.class_pictures[split] == [3, 3, 3]


def test_statistics_are_of_the_training_pictures(tmp_path: Path) -> None:
    _, fingerprint = checked(write_set(tmp_path)).require()
    pixels = np.stack([np.asarray(Image.open(p)) for p in sorted((tmp_path / "train" / "images").iterdir())])
    assert fingerprint.preprocessing.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)))
    assert fingerprint.preprocessing.std == pytest.approx(pixels.std(axis=(0, 1, 2)))


def test_progress_counts_every_pair_once(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = dataset.find(write_set(tmp_path, count=2), DataSettings())
    examine(found, DataSettings(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 6) for n in range(1, 7)]


def test_all_broken_files_are_listed_at_once(tmp_path: Path) -> None:
    write_set(tmp_path, count=4)
    (tmp_path / "train/masks/train_01.png").write_bytes(b"no picture")
    (tmp_path / "train/images/train_02.png").write_bytes(b"")
    content = (tmp_path / "val/images/val_00.png").read_bytes()
    (tmp_path / "val/images/val_00.png").write_bytes(content[: len(content) // 2])
    found = checked(tmp_path)
    # One finding a kind of fault and remedy, with all of its files.
    assert {f.kind for f in found.faults} == {"corrupt"}
    assert sorted(file.name for f in found.faults for file in f.files) == [
        "train_01.png",
        "train_02.png",
        "val_00.png",
    ]
    said = " ".join(map(str, found.faults))
    assert all(name in said for name in ("train_01.png", "train_02.png", "val_00.png"))
    with pytest.raises(DataError, match=r"train_0[12]\.png"):
        found.require()


def test_the_first_of_several_faults_says_how_many_more_there_are(tmp_path: Path) -> None:
    write_set(tmp_path, count=4)
    (tmp_path / "train/masks/train_01.png").write_bytes(b"no picture")
    write_image(tmp_path / "train/masks/train_02.png", np.eye(40, 30, dtype=np.uint8))
    (tmp_path / "train/images/train_00.png").unlink()
    write_image(tmp_path / "train/images/train_00.tif", np.eye(40, 48, dtype=np.uint16))
    found = checked(tmp_path)
    assert [f.kind for f in found.faults] == ["corrupt", "size", "dtype"]
    with pytest.raises(DataError, match=r"\(2 more faults: masksmith check lists them\)"):
        found.require()


def test_mask_of_another_size_is_named(tmp_path: Path) -> None:
    write_set(tmp_path)
    write_image(tmp_path / "train/masks/train_01.png", np.eye(40, 30, dtype=np.uint8))
    (fault,) = checked(tmp_path).faults
    assert fault.kind == "size"
    assert str(fault).endswith(
        "expected the size of its picture, 48×40 pixels, received 30×40; export the mask at the size of train_01.png."
    )
    assert "train_01.png" in fault.where


def test_one_unknown_value_names_its_mask(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "classes.csv").write_text("name,r,g,b\nsky,0,0,0\ncar,9,9,9\n")
    mask = np.zeros((40, 48), np.uint8)
    mask[:2, :2], mask[5, 5] = 7, 1
    write_image(tmp_path / "val/masks/val_01.png", mask)
    (fault,) = checked(tmp_path).faults
    assert "val_01.png" in fault.where
    assert "value 7 in 4 pixels" in str(fault)
    assert checked(tmp_path, ignore=["7"]).faults == []


@pytest.mark.parametrize(("odd", "word"), [(np.uint16, "1 pictures"), (np.float32, "float32")])
def test_pictures_of_different_dtype_are_one_fault(tmp_path: Path, odd: type, word: str) -> None:
    write_set(tmp_path)
    (tmp_path / "train/images/train_00.png").unlink()
    write_image(tmp_path / "train/images/train_00.tif", np.zeros((40, 48, 3), odd))
    found = checked(tmp_path)
    assert len(found.faults) == 1
    assert "one dtype for all pictures" in str(found.faults[0])
    assert word in str(found.faults[0])
    with pytest.raises(DataError):
        found.require()


def test_pictures_of_different_channels_are_one_fault(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "train/images/train_00.png").unlink()
    write_image(tmp_path / "train/images/train_00.tif", np.zeros((40, 48, 5), np.uint8))
    (fault,) = checked(tmp_path).faults
    assert "3 in 8 pictures, 5 in 1 pictures" in str(fault)


def test_grey_among_color_is_no_fault(tmp_path: Path) -> None:
    write_set(tmp_path)
    write_image(tmp_path / "train/images/train_00.png", np.full((40, 48), 9, np.uint8))
    _, fingerprint = checked(tmp_path).require()
    assert fingerprint.preprocessing.channels == 3


def test_all_masks_unreadable_leaves_nothing_to_decide(tmp_path: Path) -> None:
    write_set(tmp_path, count=2)
    for path in tmp_path.glob("*/masks/*"):
        path.write_bytes(b"no picture")
    found = checked(tmp_path)
    assert (found.decision, found.fingerprint) == (None, None)
    assert {f.kind for f in found.faults} == {"corrupt"}
    assert {file for f in found.faults for file in f.files} == set(tmp_path.glob("*/masks/*"))


def test_masks_of_one_value_are_a_fault(tmp_path: Path) -> None:
    found = checked(write_set(tmp_path, values=(0,)))
    assert found.decision is None
    assert [f.kind for f in found.faults] == ["one value"]
    assert "value 0 alone in all masks" in str(found.faults[0])


def test_given_table_decides_instead_of_the_scan(tmp_path: Path) -> None:
    table = ClassTable(make_entries(["a", "b", "c"]))
    chosen, fingerprint = checked(write_set(tmp_path), table).require()
    assert chosen == table
    assert fingerprint.class_pictures["train"] == [3, 3, 0]


def said(found: Checkup, severity: str) -> list[str]:
    return [str(f) for f in found.findings if f.severity == severity]


def test_class_without_pixels_is_told_with_its_consequence(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "classes.csv").write_text("name,r,g,b\nsky,0,0,0\ncar,9,9,9\ntree,0,9,0\nvoid,1,1,1\n")
    found = checked(tmp_path)
    assert any("none of tree; it cannot be learnt" in text for text in said(found, "warning"))
    assert any("ignored in loss and figures: void" in text for text in said(found, "note"))
    assert found.faults == []


def test_class_of_one_part_is_told_with_its_consequence(tmp_path: Path) -> None:
    write_set(tmp_path, values=(0, 1, 2))
    for path in (tmp_path / "test/masks").iterdir():
        mask = np.array(Image.open(path))
        write_image(path, np.where(mask == 2, 1, mask).astype(np.uint8))
    found = checked(tmp_path)
    (text,) = said(found, "warning")
    assert "the test part" in text
    assert "none of class 2; its figures will be n/a there" in text


def test_ignored_class_is_counted_last(tmp_path: Path) -> None:
    table, fingerprint = checked(write_set(tmp_path, values=(0, 1, 2)), ignore=[2]).require()
    assert len(table) == 2
    assert fingerprint.class_pixels["train"][-1] > 0
    assert sum(fingerprint.class_pixels["train"]) == 3 * 40 * 48


def test_a_folder_without_parts_is_split_and_says_so(tmp_path: Path) -> None:
    found = checked(write_set(tmp_path, parts=("",), count=20))
    assert {split: len(found.dataset.part(split)) for split in ("train", "val", "test")} == {
        "train": 14,
        "val": 3,
        "test": 3,
    }
    assert any("split by seed 0: 14 train, 3 val, 3 test" in text for text in said(found, "note"))
    _, fingerprint = found.require()
    assert fingerprint.pictures == {"train": 14, "val": 3, "test": 3}


def test_without_a_seed_nothing_is_split(tmp_path: Path) -> None:
    chosen = DataSettings()
    found = examine(dataset.find(write_set(tmp_path, parts=("",), count=4), chosen), chosen, seed=None)
    assert {p.split for p in found.dataset.pairs} == {""}
    assert found.require()[1].pictures == {"": 4}


def test_one_picture_is_too_few_to_train_on(tmp_path: Path) -> None:
    found = checked(write_set(tmp_path, parts=("",), count=1))
    assert [f.kind for f in found.faults] == ["too few"]
    assert "two pictures or more" in str(found.faults[0])
    with pytest.raises(DataError, match="two pictures or more"):
        found.require()


def test_validation_alone_is_nothing_to_train_on(tmp_path: Path) -> None:
    found = checked(write_set(tmp_path, parts=("val",)))
    assert [f.kind for f in found.faults] == ["empty part"]
    with pytest.raises(DataError, match="pictures to train on"):
        found.require()


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_part_without_a_labelled_pixel_stops_a_training_before_it_begins(tmp_path: Path, part: str) -> None:
    data = write_set(tmp_path / "data", values=(0, 1, 2))
    for path in (data / part / "masks").iterdir():
        write_image(path, np.full((40, 48), 255, np.uint8))
    found = checked(data, ignore=["255"])
    assert [(f.kind, f.where) for f in found.faults] == [("empty part", f"the {part} part")]
    assert "class in one part" not in {f.kind for f in found.findings}
    with pytest.raises(DataError, match=f"the {part} part: expected pixels of a class"):
        masksmith.train(data, tmp_path / "run", settings={"data.ignore": ["255"], "steps": 1})
    assert not (tmp_path / "run").exists()


def test_a_test_part_may_be_without_labelled_pixels(tmp_path: Path) -> None:
    for path in (write_set(tmp_path, values=(0, 1, 2)) / "test" / "masks").iterdir():
        write_image(path, np.full((40, 48), 255, np.uint8))
    assert checked(tmp_path, ignore=["255"]).faults == []


def test_pixels_of_no_class_are_pixels_where_classes_overlap(tmp_path: Path) -> None:
    """A small validation part in which nothing is drawn is told of, and no fault."""
    for part in ("train", "val"):
        for path in (write_set(tmp_path, parts=(part,)) / part / "masks").iterdir():
            bands = np.zeros((40, 48, 2), np.uint8)
            bands[5:30, 5:30, 0] = bands[20:35, 20:40, 1] = part == "train"
            write_image(path.with_suffix(".tif"), bands)
            path.unlink()
    found = checked(tmp_path, overlapping=True)
    assert found.faults == []
    assert [f.where for f in found.findings if f.kind == "class in one part"] == ["the val part"]


def test_copies_are_kept_in_one_part(tmp_path: Path) -> None:
    write_set(tmp_path, parts=("",), count=20)
    for folder in ("images", "masks"):
        content = (tmp_path / folder / "picture_03.png").read_bytes()
        for name in ("copy_a", "copy_b"):
            (tmp_path / folder / f"{name}.png").write_bytes(content)
    found = checked(tmp_path)
    parts = {p.name: p.split for p in found.dataset.pairs}
    assert len({parts[name] for name in ("picture_03", "copy_a", "copy_b")}) == 1
    assert [f.kind for f in found.findings if f.severity == "warning"] == ["duplicates"]


def test_a_copy_in_another_part_is_a_leak(tmp_path: Path) -> None:
    write_set(tmp_path)
    for folder in ("images", "masks"):
        content = (tmp_path / "train" / folder / "train_01.png").read_bytes()
        (tmp_path / "test" / folder / "again.png").write_bytes(content)
    found = checked(tmp_path)
    (leak,) = [f for f in found.findings if f.kind == "leak"]
    assert set(leak.files) == {tmp_path / "train/images/train_01.png", tmp_path / "test/images/again.png"}
    assert found.faults == []


def test_folds_are_numbered_and_one_of_them_validates(tmp_path: Path) -> None:
    write_set(tmp_path, parts=("",), count=10)
    seen = set()
    for fold in range(5):
        found = checked(tmp_path, folds=5, fold=fold)
        assert found.folds is not None
        assert [p.split for p in found.dataset.pairs] == ["val" if n == fold else "train" for n in found.folds]
        assert len(found.dataset.part("val")) == 2
        seen |= {p.name for p in found.dataset.part("val")}
    assert len(seen) == 10


def test_a_second_look_says_the_same(tmp_path: Path) -> None:
    write_set(tmp_path, parts=("",), count=8)
    first, second = checked(tmp_path), checked(tmp_path)
    assert (first.findings, first.fingerprint, first.dataset) == (second.findings, second.fingerprint, second.dataset)


def copy_pair(source: Path, name: str, home: Path, copy: str) -> None:
    for folder in ("images", "masks"):
        (home / folder / f"{copy}.png").write_bytes((source / folder / f"{name}.png").read_bytes())


@pytest.mark.parametrize(
    ("parts", "where", "settings"), [(("train", "test"), "train", {}), (("train", "val", "test"), "val", {"folds": 2})]
)
def test_copies_stay_together_where_folders_name_parts_and_others_are_drawn(
    tmp_path: Path, parts: tuple[str, ...], where: str, settings: dict[str, int]
) -> None:
    write_set(tmp_path, parts=parts, count=4)
    for number in range(4):
        copy_pair(tmp_path / "train", f"train_{number:02}", tmp_path / where, f"copy_{number:02}")
    found = checked(tmp_path, **settings)
    split = {p.name: p.split for p in found.dataset.pairs}
    assert set(split.values()) == {"train", "val", "test"}
    assert all(split[f"train_{n:02}"] == split[f"copy_{n:02}"] for n in range(4))
    assert "leak" not in {f.kind for f in found.findings}


@pytest.mark.parametrize("settings", [{}, {"folds": 2}])
def test_the_only_two_pictures_are_drawn_one_by_one_though_related(tmp_path: Path, settings: dict[str, int]) -> None:
    write_set(tmp_path, parts=("",), count=1)
    copy_pair(tmp_path, "picture_00", tmp_path, "copy")
    found = checked(tmp_path, **settings)
    assert sorted(p.split for p in found.dataset.pairs) == ["train", "val"]
    assert "leak" in {f.kind for f in found.findings}
    assert found.faults == []


def listed(root: Path, groups: dict[int, str], splits: dict[int, str], count: int = 10) -> Path:
    """A list of pictures that are strangers, with groups and parts by their number."""
    write_set(root, parts=("",), count=count)
    rows = [f"images/{n}.png,masks/{n}.png" for n in (f"picture_{i:02}" for i in range(count))]
    cells = [f"{row},{splits.get(i, '')},{groups.get(i, '')}" for i, row in enumerate(rows)]
    path = root / "list.csv"
    path.write_text("\n".join(["image,mask,split,group", *cells]))
    return path


@pytest.mark.parametrize("settings", [{}, {"folds": 2}])
def test_copies_stay_together_though_a_group_is_named(tmp_path: Path, settings: dict[str, int]) -> None:
    path = listed(tmp_path, {0: "a"}, {}, 12)
    for number in range(2, 12, 2):
        copy_pair(tmp_path, f"picture_{number:02}", tmp_path, f"picture_{number + 1:02}")
    found = checked(path, **settings)
    split = [p.split for p in found.dataset.pairs]
    assert split[2::2] == split[3::2]
    assert set(split) >= {"train", "val"}
    assert "leak" not in {f.kind for f in found.findings}


def test_groups_that_share_a_picture_go_to_one_part(tmp_path: Path) -> None:
    path = listed(tmp_path, {0: "a", 1: "a", 2: "b", 3: "b", 8: "c", 9: "c"}, {}, 12)
    copy_pair(tmp_path, "picture_01", tmp_path, "picture_02")
    copy_pair(tmp_path, "picture_04", tmp_path, "picture_08")
    found = checked(path)
    pairs = found.dataset.pairs
    assert [p.group for p in pairs] == ["a + b"] * 4 + ["c", "", "", "", "c", "c", "", ""]
    assert len({p.split for p in pairs[:4]}) == len({pairs[i].split for i in (4, 8, 9)}) == 1
    assert {f.kind for f in found.findings} & {"leak", "torn group"} == set()


@pytest.mark.parametrize("settings", [{}, {"folds": 2}])
def test_pictures_without_a_part_follow_their_group(tmp_path: Path, settings: dict[str, int]) -> None:
    found = checked(listed(tmp_path, {0: "a", 1: "a", 2: "a", 3: "b", 4: "b"}, {0: "test"}), **settings)
    split = [p.split for p in found.dataset.pairs]
    assert (split[:3], split.count("test")) == (["test"] * 3, 3)
    assert split[3] == split[4]
    assert "pictures without a part that follow their group: 2" in [f.received for f in found.findings]
    assert "torn group" not in {f.kind for f in found.findings}


def test_a_group_in_two_parts_is_told(tmp_path: Path) -> None:
    found = checked(listed(tmp_path, {0: "a", 1: "a", 2: "a", 3: "b"}, {0: "test", 1: "train"}))
    (torn,) = [f for f in found.findings if f.kind == "torn group"]
    assert torn.severity == "warning"
    assert "1 times: a" in torn.received
    assert set(torn.files) == {tmp_path / f"images/picture_{n:02}.png" for n in range(3)}


def test_a_table_that_tears_a_group_is_told(tmp_path: Path) -> None:
    path = listed(tmp_path, {0: "a", 1: "a"}, {})
    whole = checked(path)
    table = tmp_path / "edited" / "split.csv"
    table.parent.mkdir()
    part = next(p.split for p in whole.dataset.pairs if p.group)
    text = whole.dataset.to_csv(table.parent)
    table.write_text(text.replace(f"picture_00,{part},a", f"picture_00,{'val' if part == 'train' else 'train'},a"))
    assert "torn group" not in {f.kind for f in whole.findings}
    assert "torn group" in {f.kind for f in checked(path, split=str(table)).findings}
