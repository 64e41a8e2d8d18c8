"""Pins down dataset: pairs by name with nothing left out silently, and a split that only seed and names decide."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import write_set
from masksmith.data import dataset
from masksmith.errors import DataError, InputError
from masksmith.recipe import DataSettings

DEFAULT = DataSettings()


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def flat(root: Path, count: int) -> Path:
    touch(root / "images", *(f"p{i}.png" for i in range(count)))
    touch(root / "masks", *(f"p{i}.png" for i in range(count)))
    return root


def parts(found: dataset.Dataset) -> dict[str, str]:
    return {p.name: p.split for p in found.pairs}


def test_folders_decide_the_split(tmp_path: Path) -> None:
    found = dataset.find(write_set(tmp_path), DEFAULT)
    assert found.layout == "split folders"
    assert [p.name for p in found.part("val")] == ["val_00", "val_01", "val_02"]
    assert [p.split for p in found.pairs] == ["train"] * 3 + ["val"] * 3 + ["test"] * 3
    for pair in found.pairs:
        assert pair.image.parent.name == "images"
        assert pair.mask == tmp_path / pair.split / "masks" / f"{pair.name}.png"
    assert found.entries is None


@given(
    count=st.integers(3, 40), seed=st.integers(0, 5), val=st.floats(0.05, 0.4), test=st.sampled_from([0.0, 0.1, 0.3])
)
def test_split_is_disjoint_complete_and_of_the_wanted_size(
    tmp_path_factory: pytest.TempPathFactory, count: int, seed: int, val: float, test: float
) -> None:
    root = flat(tmp_path_factory.mktemp("set"), count)
    found = dataset.find(root, DataSettings(val_fraction=val, test_fraction=test), seed)
    names = [p.name for p in found.pairs]
    assert sorted(names) == sorted(f"p{i}" for i in range(count))
    sizes = {split: len(found.part(split)) for split in ("train", "val", "test")}
    assert sum(sizes.values()) == count
    assert sizes["val"] == max(1, round(count * val))
    assert sizes["test"] == (max(1, round(count * test)) if test else 0)
    assert sizes["train"] > 0


def test_split_is_reproducible_and_another_seed_splits_otherwise(tmp_path: Path) -> None:
    root = flat(tmp_path, 20)
    assert parts(dataset.find(root, DEFAULT, 1)) == parts(dataset.find(root, DEFAULT, 1))
    assert parts(dataset.find(root, DEFAULT, 1)) != parts(dataset.find(root, DEFAULT, 2))


def test_split_does_not_depend_on_place_ending_or_order_of_writing(tmp_path: Path) -> None:
    first = flat(tmp_path / "a", 20)
    second = tmp_path / "b"
    for number in reversed(range(20)):
        touch(second / "images", f"p{number}.jpg")
        touch(second / "masks", f"p{number}.tif")
    assert parts(dataset.find(first, DEFAULT)) == parts(dataset.find(second, DEFAULT))


def test_missing_validation_is_taken_from_train_and_the_test_part_stays(tmp_path: Path) -> None:
    found = dataset.find(write_set(tmp_path, parts=("train", "test"), count=7), DEFAULT)
    assert len(found.part("val")) == 1
    assert all(p.name.startswith("train") for p in (*found.part("val"), *found.part("train")))
    assert len(found.part("test")) == 7
    assert any("split by seed 0: 6 train, 1 val" in note for note in found.notes)


def test_without_training_nothing_is_split(tmp_path: Path) -> None:
    found = dataset.find(flat(tmp_path, 4), DEFAULT, training=False)
    assert {p.split for p in found.pairs} == {""}


def test_two_pictures_are_one_to_train_and_one_to_validate(tmp_path: Path) -> None:
    assert sorted(parts(dataset.find(flat(tmp_path, 2), DEFAULT)).values()) == ["train", "val"]


def test_one_picture_is_too_few_to_train(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two pictures or more"):
        dataset.find(flat(tmp_path, 1), DEFAULT)


def test_fractions_that_leave_nothing_to_train_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lower the fractions"):
        dataset.find(flat(tmp_path, 4), DataSettings(val_fraction=0.6, test_fraction=0.6))


def test_validation_alone_is_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        dataset.find(write_set(tmp_path, parts=("val",)), DEFAULT)


@pytest.mark.parametrize("suffix", ["", "_mask", "_label", "_gt", "_L", "-mask"])
def test_masks_are_found_behind_usual_suffixes(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path / "images", "a.jpg", "b.jpg")
    touch(tmp_path / "masks", f"a{suffix}.png", f"b{suffix}.png")
    found = dataset.find(tmp_path, DEFAULT)
    assert {p.name: p.mask.name for p in found.pairs} == {"a": f"a{suffix}.png", "b": f"b{suffix}.png"}


def test_pictures_without_a_mask_are_listed(tmp_path: Path) -> None:
    flat(tmp_path, 3)
    touch(tmp_path / "images", "x.png", "y.png")
    touch(tmp_path / "masks", "z.png")
    with pytest.raises(DataError) as caught:
        dataset.find(tmp_path, DEFAULT)
    message = str(caught.value)
    assert "2 of 5 without one: x, y" in message
    assert "masks without a picture: z" in message
    assert "--skip-unmatched" in message


def test_skipped_pictures_are_said(tmp_path: Path) -> None:
    flat(tmp_path, 3)
    touch(tmp_path / "images", "x.png")
    touch(tmp_path / "masks", "z.png")
    found = dataset.find(tmp_path, DataSettings(unmatched="skip"))
    assert sorted(p.name for p in found.pairs) == ["p0", "p1", "p2"]
    assert "left out, no mask: x" in found.notes
    assert any(note.endswith(": z") for note in found.notes)


def test_no_pair_at_all_is_refused_even_when_skipping(tmp_path: Path) -> None:
    touch(tmp_path / "images", "x.png")
    touch(tmp_path / "masks", "z.png")
    with pytest.raises(DataError, match="1 of 1 without one"):
        dataset.find(tmp_path, DataSettings(unmatched="skip"))


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_two_files_of_one_name_are_refused_by_name(tmp_path: Path, folder: str) -> None:
    touch(flat(tmp_path, 3) / folder, "p1.tif")
    with pytest.raises(DataError, match=r"p1\.png and p1\.tif"):
        dataset.find(tmp_path, DEFAULT)


def test_hidden_files_and_notes_beside_pictures_are_no_matter(tmp_path: Path) -> None:
    touch(flat(tmp_path, 3) / "images", ".DS_Store", "._p1.png", "notes.txt", "Thumbs.db")
    assert len(dataset.find(tmp_path, DEFAULT).pairs) == 3


def test_folder_without_pictures_says_what_it_holds(tmp_path: Path) -> None:
    touch(tmp_path / "images", "a.gif")
    touch(tmp_path / "masks")
    with pytest.raises(DataError, match=r"none \(a\.gif\)"):
        dataset.find(tmp_path, DEFAULT)
    (tmp_path / "images" / "a.gif").unlink()
    with pytest.raises(DataError, match="an empty folder"):
        dataset.find(tmp_path, DEFAULT)


def test_unknown_layout_says_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="an empty folder"):
        dataset.find(tmp_path, DEFAULT)
    touch(tmp_path / "pictures")
    with pytest.raises(DataError, match=r"pictures/; .*--images DIR --masks DIR"):
        dataset.find(tmp_path, DEFAULT)


def test_missing_folder_and_file_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        dataset.find(tmp_path / "none", DEFAULT)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="a file"):
        dataset.find(tmp_path / "file", DEFAULT)
    with pytest.raises(InputError, match="received none"):
        dataset.find(None, DEFAULT)


def test_given_folders_replace_the_search(tmp_path: Path) -> None:
    shutil.move(flat(tmp_path, 4) / "images", tmp_path / "a b")
    shutil.move(tmp_path / "masks", tmp_path / "c")
    settings = DataSettings(images=str(tmp_path / "a b"), masks=str(tmp_path / "c"))
    assert len(dataset.find(None, settings).pairs) == 4
    with pytest.raises(InputError, match="both folders"):
        dataset.find(None, DataSettings(images=str(tmp_path / "a b")))


def test_class_table_in_the_folder_is_found(tmp_path: Path) -> None:
    flat(tmp_path, 3)
    (tmp_path / "metadata.csv").write_text("file,date\np1,2020\n")
    (tmp_path / "label_colors.csv").write_text("name,r,g,b\nsky,0,0,9\ncar,9,0,0\n")
    found = dataset.find(tmp_path, DEFAULT)
    assert found.entries is not None
    assert [e.name for e in found.entries] == ["sky", "car"]
    assert any("label_colors.csv" in note for note in found.notes)


def test_of_several_class_tables_classes_csv_wins_or_one_must_be_chosen(tmp_path: Path) -> None:
    flat(tmp_path, 3)
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"name,r,g,b\n{name},0,0,9\nx,1,1,1\n")
    with pytest.raises(DataError, match=r"a\.csv, b\.csv; .*--classes"):
        dataset.find(tmp_path, DEFAULT)
    chosen = dataset.find(tmp_path, DataSettings(classes=str(tmp_path / "b.csv")))
    assert chosen.entries is not None
    assert chosen.entries[0].name == "b"
    shutil.copy(tmp_path / "a.csv", tmp_path / "classes.csv")
    found = dataset.find(tmp_path, DEFAULT)
    assert found.entries is not None
    assert found.entries[0].name == "a"
    with pytest.raises(DataError, match="no such file"):
        dataset.find(tmp_path, DataSettings(classes="none.csv"))


def test_csv_of_the_split_lists_every_pair(tmp_path: Path) -> None:
    found = dataset.find(write_set(tmp_path), DEFAULT)
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [(r["name"], r["split"], r["image"], r["mask"]) for r in rows] == [
        (p.name, p.split, str(p.image), str(p.mask)) for p in found.pairs
    ]
