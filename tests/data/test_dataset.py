"""Pins down dataset: pairs by name, with nothing left out silently; folders and lists decide the parts."""

from __future__ import annotations

import csv
import io
import os
import shutil
from pathlib import Path

import pytest

from corpus.kinds import KINDS
from corpus.layouts import LAYOUTS, SENSELESS
from corpus.pictures import scenes
from helpers import write_set
from masksmith.data import dataset
from masksmith.data.findings import Finding
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


def told(found: dataset.Dataset, kind: str) -> Finding:
    (finding,) = [f for f in found.findings if f.kind == kind]
    return finding


def test_folders_decide_the_split(tmp_path: Path) -> None:
    found = dataset.find(write_set(tmp_path), DEFAULT)
    assert found.layout == "split folders"
    assert [p.name for p in found.part("val")] == ["val_00", "val_01", "val_02"]
    assert [p.split for p in found.pairs] == ["train"] * 3 + ["val"] * 3 + ["test"] * 3
    for pair in found.pairs:
        assert pair.image.parent.name == "images"
        assert pair.mask == tmp_path / pair.split / "masks" / f"{pair.name}.png"
    assert found.entries is None


def test_nothing_is_split_and_nothing_is_opened_here(tmp_path: Path) -> None:
    found = dataset.find(flat(tmp_path, 4), DEFAULT)  # the files are empty
    assert {p.split for p in found.pairs} == {""}
    assert found.findings == ()


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
    found = dataset.find(tmp_path, DEFAULT)
    fault = told(found, "unpaired")
    assert fault.severity == "fault"
    assert fault.files == (tmp_path / "images/x.png", tmp_path / "images/y.png")
    assert "2 of 5 without one: x, y" in str(fault)
    assert "masks without a picture: z" in str(fault)
    assert "--skip-unmatched" in str(fault)
    assert told(found, "spare masks").files == (tmp_path / "masks/z.png",)
    assert [p.name for p in found.pairs] == ["p0", "p1", "p2"]


def test_skipped_pictures_are_said(tmp_path: Path) -> None:
    flat(tmp_path, 3)
    touch(tmp_path / "images", "x.png")
    touch(tmp_path / "masks", "z.png")
    found = dataset.find(tmp_path, DataSettings(unmatched="skip"))
    assert sorted(p.name for p in found.pairs) == ["p0", "p1", "p2"]
    assert told(found, "left out").received == "left out, no mask: x.png"
    assert told(found, "left out").severity == "note"
    assert "1 without one: z.png" in str(told(found, "spare masks"))
    assert not any(f.severity == "fault" for f in found.findings)


def test_no_pair_at_all_is_refused_even_when_skipping(tmp_path: Path) -> None:
    touch(tmp_path / "images", "x.png")
    touch(tmp_path / "masks", "z.png")
    with pytest.raises(DataError, match="1 of 1 without one"):
        dataset.find(tmp_path, DataSettings(unmatched="skip"))


@pytest.mark.parametrize(("folder", "between"), [("images", " and "), ("masks", ", ")])
def test_two_files_of_one_name_are_a_fault_with_both_names(tmp_path: Path, folder: str, between: str) -> None:
    touch(flat(tmp_path, 3) / folder, "p1.tif")
    fault = told(dataset.find(tmp_path, DEFAULT), "ambiguous")
    assert fault.severity == "fault"
    assert f"p1.png{between}p1.tif" in str(fault)
    assert fault.files == (tmp_path / folder / "p1.png", tmp_path / folder / "p1.tif")


def test_hidden_files_and_notes_beside_pictures_are_no_matter(tmp_path: Path) -> None:
    touch(flat(tmp_path, 3) / "images", ".DS_Store", "._p1.png", "notes.txt", "Thumbs.db")
    assert len(dataset.find(tmp_path, DEFAULT).pairs) == 3


def test_folder_without_pictures_says_what_it_holds(tmp_path: Path) -> None:
    touch(tmp_path / "images", "a.doc")
    touch(tmp_path / "masks")
    with pytest.raises(DataError, match=r"none \(a\.doc\)"):
        dataset.find(tmp_path, DEFAULT)
    (tmp_path / "images" / "a.doc").unlink()
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


def test_a_missing_folder_is_told_beside_the_two_that_are_given(tmp_path: Path) -> None:
    flat(tmp_path, 2)
    settings = DataSettings(images=str(tmp_path / "images"), masks=str(tmp_path / "masks"))
    assert len(dataset.find(tmp_path, settings).pairs) == 2
    with pytest.raises(DataError, match=r"typo: expected a folder, received no such folder"):
        dataset.find(tmp_path / "typo", settings)
    (tmp_path / "list.csv").touch()
    with pytest.raises(DataError, match=r"list\.csv: expected a folder, received a file"):
        dataset.find(tmp_path / "list.csv", settings)


@pytest.mark.skipif(os.name == "nt", reason="no name there has a |")
@pytest.mark.parametrize("name", ["a|b.png", "folder|x"])
def test_names_that_the_table_of_the_split_cannot_hold_are_told(tmp_path: Path, name: str) -> None:
    home = tmp_path / "set" if name.endswith(".png") else tmp_path / name
    for folder in ("images", "masks"):
        touch(home / folder, "c.png", name if name.endswith(".png") else "d.png")
    with pytest.raises(DataError, match=r"expected names without \|.*received [12] with it: .*\|") as caught:
        dataset.find(home, DEFAULT)
    assert name in caught.value.received


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
    assert told(found, "classes").received == f"class table: {tmp_path / 'label_colors.csv'}"


def test_of_several_class_tables_classes_csv_wins_or_one_must_be_chosen(tmp_path: Path) -> None:
    flat(tmp_path, 3)
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"name,r,g,b\n{name},0,0,9\nx,1,1,1\n")
    fault = told(dataset.find(tmp_path, DEFAULT), "class table")
    assert fault.severity == "fault"
    assert "received a.csv, b.csv; choose one with --classes FILE" in str(fault)
    assert fault.files == (tmp_path / "a.csv", tmp_path / "b.csv")
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
    rows = list(csv.DictReader(io.StringIO(found.to_csv(tmp_path))))
    assert [(r["name"], r["split"], r["image"], r["mask"]) for r in rows] == [
        (p.name, p.split, str(p.image), str(p.mask)) for p in found.pairs
    ]


def test_a_broken_class_table_is_a_fault_and_an_error_where_it_was_asked_for(tmp_path: Path) -> None:
    flat(tmp_path, 3)
    (tmp_path / "classes.csv").write_text("label,red\na,1\n")
    found = dataset.find(tmp_path, DEFAULT)
    fault = told(found, "class table")
    assert (fault.severity, fault.files) == ("fault", (tmp_path / "classes.csv",))
    assert "expected the columns name,r,g,b" in str(fault)
    assert "label, red" in str(fault)
    assert (len(found.pairs), found.entries) == (3, None)
    with pytest.raises(DataError, match=r"classes\.csv: expected the columns name,r,g,b"):
        dataset.find(tmp_path, DataSettings(classes=str(tmp_path / "classes.csv")))


def test_a_list_of_pictures_says_names_parts_and_groups(tmp_path: Path) -> None:
    touch(tmp_path / "here", "a.png", "b.png", "c.png")
    touch(tmp_path / "there", "a.tif", "b.tif", "c.tif")
    (tmp_path / "list.csv").write_text(
        "image,mask,split,group\nhere/a.png,there/a.tif,Train,one\nhere/b.png,there/b.tif,validation,two\n"
        "here/c.png,there/c.tif,test,\n"
    )
    for place in (tmp_path, tmp_path / "list.csv"):
        found = dataset.find(place, DEFAULT)
        assert found.layout == "list"
        assert [(p.name, p.split, p.group) for p in found.pairs] == [
            ("a", "train", "one"),
            ("b", "val", "two"),
            ("c", "test", ""),
        ]
        assert [(p.image, p.mask) for p in found.pairs] == [
            (tmp_path / f"here/{n}.png", tmp_path / f"there/{n}.tif") for n in "abc"
        ]


def test_a_list_names_the_row_whose_file_is_not_there_and_the_part_it_does_not_know(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.tif")
    table = tmp_path / "list.csv"
    table.write_text("image,mask\na.png,a.tif\nb.png,b.tif\n")
    found = dataset.find(table, DEFAULT)
    assert [p.name for p in found.pairs] == ["a"]
    assert "b.png in row 3" in str(told(found, "unpaired"))
    table.write_text("image,mask,split\na.png,a.tif,some\n")
    with pytest.raises(DataError, match=r'list\.csv, row 2: expected train, val or test .*received "some"'):
        dataset.find(table, DEFAULT)


def test_folders_that_are_not_used_are_said(tmp_path: Path) -> None:
    write_set(tmp_path, parts=("train",))
    touch(tmp_path / "test" / "images", "x.png")
    # A contest gives no masks of its test: that is no fault of the set.
    found = dataset.find(tmp_path, DEFAULT)
    assert [(f.kind, f.severity, f.files) for f in found.findings] == [("layout", "note", (tmp_path / "test",))]
    touch(tmp_path / "val" / "images", "x.png")
    found = dataset.find(tmp_path, DEFAULT)
    assert told(found, "layout").files == (tmp_path / "test",)
    assert told(found, "ignored folder").severity == "warning"
    assert told(found, "ignored folder").files == (tmp_path / "val",)
    assert "val, where one of the two is missing" in str(told(found, "ignored folder"))


def test_the_table_of_the_split_leads_back_to_the_same_pairs(tmp_path: Path) -> None:
    found = dataset.find(write_set(tmp_path / "set"), DEFAULT)
    (tmp_path / "split.csv").write_text(found.to_csv(tmp_path))
    assert dataset.find(tmp_path / "split.csv", DEFAULT).pairs == found.pairs


@pytest.mark.parametrize("cell", ["x" * 5000, "x/" * 2000, "a\\b:c*?"])
def test_a_list_with_a_path_that_no_disk_has_is_told(tmp_path: Path, cell: str) -> None:
    touch(tmp_path, "a.png", "a.tif")
    (tmp_path / "list.csv").write_text(f"image,mask\na.png,a.tif\n{cell},a.tif\na.png,{cell}\n")
    found = dataset.find(tmp_path / "list.csv", DEFAULT)
    assert [p.name for p in found.pairs] == ["a"]
    assert [f.kind for f in found.findings] == ["unpaired"] * 2


def test_pictures_of_one_name_in_all_parts_are_all_led_back_to(tmp_path: Path) -> None:
    write_set(tmp_path / "set")
    for path in sorted((tmp_path / "set").glob("*/*/*.png")):
        path.rename(path.with_name(path.name.split("_")[1]))
    found = dataset.find(tmp_path / "set", DEFAULT)
    assert [p.name for p in found.pairs] == ["00", "01", "02"] * 3
    (tmp_path / "split.csv").write_text(found.to_csv(tmp_path))
    again = dataset.find(tmp_path / "split.csv", DEFAULT)
    assert {(p.image, p.mask, p.split) for p in again.pairs} == {(p.image, p.mask, p.split) for p in found.pairs}
    assert len({p.name for p in again.pairs}) == 9


# Each layout once, and each kind of annotation once where it fits.
CELLS = [(name, next(k for k in KINDS if (name, k) not in SENSELESS)) for name in LAYOUTS]
CELLS += [(next(name for name in LAYOUTS if (name, k) not in SENSELESS), k) for k in KINDS]


@pytest.mark.parametrize(("layout", "kind"), dict.fromkeys(CELLS))
def test_the_table_of_any_set_leads_back_to_the_same_pairs(tmp_path: Path, layout: str, kind: str) -> None:
    (tmp_path / "set").mkdir()
    LAYOUTS[layout].lay(tmp_path / "set", scenes(4), KINDS[kind])
    found = dataset.find(tmp_path / "set", DataSettings.model_validate(dict(KINDS[kind].settings)))
    (tmp_path / "split.csv").write_text(found.to_csv(tmp_path))
    assert dataset.find(tmp_path / "split.csv", DEFAULT).pairs == found.pairs


def test_tables_of_masksmith_split_in_the_folder_are_no_lists(tmp_path: Path) -> None:
    found = dataset.find(flat(tmp_path, 3), DEFAULT)
    (tmp_path / "split.csv").write_text(found.to_csv(tmp_path))
    (tmp_path / "folds.csv").write_text(found.to_csv(tmp_path, [0, 1, 2]))
    again = dataset.find(flat(tmp_path, 4), DEFAULT)
    assert (again.layout, len(again.pairs)) == ("flat", 4)
    assert told(again, "layout").files == (tmp_path / "folds.csv", tmp_path / "split.csv")
    assert len(dataset.find(tmp_path / "split.csv", DEFAULT).pairs) == 3
