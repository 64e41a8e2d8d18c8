"""Pins down splits: seed and names decide alone, rare classes reach all parts, groups are never torn apart."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import write_set
from masksmith.data import dataset, splits
from masksmith.data.dataset import Dataset
from masksmith.data.pairing import Pair
from masksmith.errors import DataError, InputError
from masksmith.labels import LabelSource
from masksmith.recipe import DataSettings

DEFAULT = DataSettings()
PARTS = ("train", "val", "test")
Presence = Mapping[Path, frozenset[int]]


def pair(name: str, split: str = "", group: str = "", ending: str = "png") -> Pair:
    return Pair(name, (Path(f"images/{name}.{ending}"),), LabelSource((Path(f"masks/{name}.png"),)), split, group)


def many(count: int) -> list[Pair]:
    return [pair(f"p{i}") for i in range(count)]


def by_name(pairs: list[Pair]) -> dict[str, str]:
    return {p.name: p.split for p in pairs}


def assigned(pairs: list[Pair], presence: Presence | None = None, seed: int = 0, **settings: object) -> list[Pair]:
    return splits.assign(pairs, presence or {}, DataSettings.model_validate(settings), seed)[0]


def sizes(pairs: list[Pair]) -> tuple[int, ...]:
    return tuple(sum(p.split == part for p in pairs) for part in PARTS)


@given(
    count=st.integers(3, 40), seed=st.integers(0, 5), val=st.floats(0.05, 0.4), test=st.sampled_from([0.0, 0.1, 0.3])
)
def test_parts_are_disjoint_complete_and_of_the_wanted_size(count: int, seed: int, val: float, test: float) -> None:
    found = assigned(many(count), seed=seed, val_fraction=val, test_fraction=test)
    assert [p.name for p in found] == [f"p{i}" for i in range(count)]
    train, validating, testing = sizes(found)
    assert train + validating + testing == count
    assert validating == max(1, round(count * val))
    assert testing == (max(1, round(count * test)) if test else 0)
    assert train > 0


def test_the_seed_decides() -> None:
    assert by_name(assigned(many(20), seed=1)) == by_name(assigned(many(20), seed=1))
    assert by_name(assigned(many(20), seed=1)) != by_name(assigned(many(20), seed=2))


@given(st.randoms(use_true_random=False), st.data())
def test_neither_order_nor_place_nor_ending_matter(rng: random.Random, data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.frozensets(st.integers(0, 3)), min_size=20, max_size=20))
    first = many(20)
    second = [pair(p.name, ending="tif") for p in first]
    seen = {p.image: kinds[i] for i, p in enumerate(first)} | {p.image: kinds[i] for i, p in enumerate(second)}
    expected = by_name(assigned(first, seen))
    rng.shuffle(second)
    assert by_name(assigned(second, seen)) == expected


@given(st.integers(0, 99), st.integers(3, 6))
def test_a_rare_class_reaches_all_parts(seed: int, rare: int) -> None:
    pairs = many(60)
    chosen = set(random.Random(seed).sample(range(60), rare))
    presence = {p.image: frozenset({0, 1} if i in chosen else {0}) for i, p in enumerate(pairs)}
    found = assigned(pairs, presence, seed)
    assert sizes(found) == (42, 9, 9)
    assert {p.split for p in found if 1 in presence[p.image]} == set(PARTS)


def test_every_class_is_shared_out_as_the_pictures_are() -> None:
    pairs = many(100)
    presence = {p.image: frozenset({0, 1 + i % 4}) for i, p in enumerate(pairs)}
    found = assigned(pairs, presence, val_fraction=0.2, test_fraction=0.2)
    for label in range(1, 5):
        assert sizes([p for p in found if label in presence[p.image]]) == (15, 5, 5)


@given(st.lists(st.integers(0, 8), min_size=12, max_size=40), st.integers(0, 9))
def test_groups_are_never_torn_apart(members: list[int], seed: int) -> None:
    pairs = [pair(f"p{i}", group=f"g{g}" if g else "") for i, g in enumerate(members)]
    if len({p.group or p.name for p in pairs}) < 5:
        return
    found = assigned(pairs, seed=seed)
    parts: dict[str, set[str]] = {}
    for p in found:
        if p.group:
            parts.setdefault(p.group, set()).add(p.split)
    assert all(len(chosen) == 1 for chosen in parts.values())
    assert all(sizes(found))


def test_groups_are_said() -> None:
    _, (told,) = splits.assign([pair(f"p{i}", group=f"g{i // 2}") for i in range(20)], {}, DEFAULT, 3)
    assert told.received.startswith("split by seed 3: ")
    assert told.received.endswith("; 10 groups kept together")
    assert told.severity == "note"


def test_missing_validation_is_taken_from_train_and_the_test_part_stays() -> None:
    pairs = [pair(f"a{i}", "train") for i in range(7)] + [pair(f"b{i}", "test") for i in range(7)]
    found, (told,) = splits.assign(pairs, {}, DEFAULT, 0)
    assert sizes(found) == (6, 1, 7)
    assert all(p.split == "test" for p in found if p.name.startswith("b"))
    assert "split by seed 0: 6 train, 1 val, 7 test" in told.received


def test_parts_that_are_settled_are_left_alone() -> None:
    pairs = [pair("a", "train"), pair("b", "val"), pair("c", "test")]
    assert splits.assign(pairs, {}, DEFAULT, 0) == (pairs, [])


def test_two_pictures_are_one_to_train_and_one_to_validate() -> None:
    assert sizes(assigned(many(2))) == (1, 1, 0)


def test_fractions_that_leave_nothing_to_train_are_refused() -> None:
    with pytest.raises(
        InputError, match="2 for validation and 2 for the test of 4 pictures or groups; lower the fractions"
    ):
        assigned(many(4), val_fraction=0.6, test_fraction=0.6)


@given(st.integers(6, 40), st.integers(2, 6), st.integers(0, 9))
def test_folds_are_disjoint_complete_and_even(count: int, folds: int, seed: int) -> None:
    pairs = many(count)
    found = splits.folds(pairs, {}, folds, seed)
    assert len(found) == count
    members = [found.count(n) for n in range(folds)]
    assert sum(members) == count
    assert max(members) - min(members) <= 1


def test_folds_share_a_rare_class_and_keep_groups() -> None:
    pairs = [pair(f"p{i}", group=f"g{i // 2}") for i in range(40)]
    presence = {p.image: frozenset({0, 1} if i < 10 else {0}) for i, p in enumerate(pairs)}
    found = splits.folds(pairs, presence, 5, 0)
    assert found[::2] == found[1::2]
    assert sorted(found[:10:2]) == [0, 1, 2, 3, 4]


def test_the_test_part_stays_out_of_the_folds() -> None:
    pairs = [*many(6), pair("t0", "test"), pair("t1", "test")]
    found = splits.folds(pairs, {}, 3, 0)
    assert found[6:] == [-1, -1]
    assert sorted(found[:6]) == [0, 0, 1, 1, 2, 2]


def test_more_folds_than_pictures_are_refused() -> None:
    with pytest.raises(InputError, match=r"data\.folds: expected 5 pictures \(or groups\) or more, received 4"):
        splits.folds(many(4), {}, 5, 0)


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (None, ["", "", ""]),
        (r"^[^_]+", ["a", "a", "b"]),
        (r"_(\d+)_", ["01", "02", "01"]),
        ("group", ["", "", ""]),
    ],
)
def test_a_pattern_finds_the_groups(pattern: str | None, groups: list[str]) -> None:
    pairs = [pair("a_01_x"), pair("a_02_x"), pair("b_01_x")]
    assert [p.group for p in splits.grouped(pairs, pattern)] == groups


@pytest.mark.parametrize(
    ("pattern", "words"), [("[", ["--group-by", '"["', "mend"]), ("^a", ["1 of 2 that do not: b", "widen the pattern"])]
)
def test_a_pattern_that_cannot_be_meant_is_refused(pattern: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        splits.grouped([pair("a"), pair("b")], pattern)
    assert all(word in str(caught.value) for word in words)


def test_links_to_one_file_may_have_different_parts(tmp_path: Path) -> None:
    """As in a folder whose files a store keeps: what they share is told elsewhere, and refuses nothing."""
    data = write_set(tmp_path / "set", parts=("train", "val"), count=1)
    (train,), (val,) = ((data / part / "images").iterdir() for part in ("train", "val"))
    for image in (train, val):
        image.replace(tmp_path / "stored.png")
        image.symlink_to(tmp_path / "stored.png")
    found = dataset.find(data, DataSettings())
    (tmp_path / "split.csv").write_text(found.to_csv(tmp_path))
    assert [p.split for p in splits.given(found.pairs, tmp_path / "split.csv")] == ["train", "val"]


@pytest.mark.parametrize("name", ["set", "there/../set", "link/../set"])
def test_a_table_leads_to_the_pictures_by_any_way_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "there").mkdir()
    write_set(tmp_path / "deep/set" if name.startswith("link") else tmp_path / "set")
    (tmp_path / "deep/within").mkdir(parents=True, exist_ok=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep/within")
    monkeypatch.chdir(tmp_path)
    found = dataset.find(Path(name), DataSettings())
    Path("there/split.csv").write_text(found.to_csv(Path("there")))
    monkeypatch.chdir(tmp_path / "there")
    again = dataset.find(Path("split.csv"), DataSettings())
    assert [p.image.resolve() for p in again.pairs] == [(tmp_path / p.image).resolve() for p in found.pairs]
    assert splits.given(again.pairs, Path("split.csv")) == list(again.pairs)


def test_an_edited_table_is_followed(tmp_path: Path) -> None:
    pairs = assigned(many(10))
    path = tmp_path / "split.csv"
    path.write_text(Dataset(tmp_path, "flat", tuple(pairs), None).to_csv(tmp_path))
    assert splits.given(many(10), path) == pairs
    edited = {"p3": "test", "p4": "val"}
    lines = path.read_text().splitlines()
    for i, line in enumerate(lines):
        cells = line.split(",")
        lines[i] = ",".join([cells[0], edited.get(cells[0], cells[1]), *cells[2:]])
    path.write_text("\n".join(lines))
    assert by_name(splits.given(many(10), path)) == by_name(pairs) | edited


def test_a_short_table_as_people_write_it_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "parts.csv"
    path.write_text("\ufeffName;Split;Group\np0;Training;a\np1;valid;\np2;TEST;b\n")
    found = splits.given([pair("p0", group="x"), pair("p1", group="y"), pair("p2", "train")], path)
    assert [(p.split, p.group) for p in found] == [("train", "a"), ("val", "y"), ("test", "b")]


def test_names_that_stand_for_two_pictures_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text("name,split,image\np0,train,a/p0.png\np0,val,b/p0.png\np1,test,c/p1.png\n")
    with pytest.raises(DataError, match="none for 1 of 2: p0"):
        splits.given(many(2), path)
    both = [Pair("p0", (Path(f"{folder}/p0.png"),), LabelSource((Path("m.png"),))) for folder in "ab"]
    assert [p.split for p in splits.given(both, path)] == ["train", "val"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,split\np0,train\n", ["none for 1 of 2: p1", "masksmith split"]),
        ("name,split\np0,train\np1,holdout\n", ["row 3", '"holdout"', "train, val or test"]),
        ("name,part\np0,train\n", ["name (or image) and split", "name, part"]),
        ("", ["a row for each picture"]),
    ],
)
def test_a_table_that_does_not_say_it_is_refused(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "split.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        splits.given(many(2), path)
    assert all(word in str(caught.value) for word in ("split.csv", *words))


def test_a_table_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        splits.given(many(2), tmp_path / "none.csv")
    (tmp_path / "split.csv").write_bytes(b"\xff\xfe\x00name\x00")
    with pytest.raises(DataError, match=r"split\.csv: .*UTF-8"):
        splits.given(many(2), tmp_path / "split.csv")


@given(st.booleans(), st.binary(max_size=80), st.sampled_from(["split.csv", "split.parquet"]))
def test_whatever_the_bytes_the_answer_is_a_split_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, has_header: bool, content: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("set") / name
    path.write_bytes(b"name,split\n" * has_header + content)
    with suppress(DataError):
        splits.given(many(2), path)


@pytest.mark.parametrize("pattern", ["^", "x*", "p(x)?", "(p)"])
def test_a_pattern_that_groups_nothing_or_all_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match="--group-by"):
        splits.grouped([pair("p1"), pair("p2")], pattern)


@pytest.mark.parametrize(
    ("rows", "word"), [("a.png,train\na.png,val\n", "one part for each picture"), ("a.png,\n", "an empty cell")]
)
def test_rows_that_contradict_or_say_nothing_are_refused(tmp_path: Path, rows: str, word: str) -> None:
    (tmp_path / "split.csv").write_text("image,split\n" + rows)
    with pytest.raises(DataError, match=word):
        splits.given([pair("a")], tmp_path / "split.csv")
