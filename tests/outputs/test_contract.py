"""What every entry of the tables keeps: it writes any prediction, the same each time, and is described."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from masksmith.errors import EnvironmentFault
from masksmith.inference.prediction import Prediction
from masksmith.outputs import COLLECTED, OUTPUTS, WORDS, Shaping, endings, render
from outputs.made import noise, overlapping, predicted, table, utm

PAGE = (Path(__file__).parents[2] / "docs" / "outputs.md").read_text(encoding="utf-8")
SPLIT = Shaping(simplify_px=0.7, min_area_px=3, split="watershed")


def sixteen_bits() -> Prediction:
    mask = noise(4, 23, 31, 3, 5)
    pixels = np.random.default_rng(0).integers(0, 2**16, (23, 31, 5)).astype(np.uint16)
    p = predicted(mask)
    return Prediction(mask, p.probabilities_KHW, pixels, p.table)


def one_class() -> Prediction:
    mask = np.zeros((3, 3), np.uint8)
    return Prediction(mask, np.ones((1, 3, 3), np.float32), np.zeros((3, 3, 1), np.float32), table(("all",)))


MADE = {
    "1×1": lambda: predicted(np.ones((1, 1))),
    "nothing": lambda: predicted(np.zeros((5, 4))),
    "no pixel": lambda: predicted(np.ones((5, 4)), valid_HW=np.zeros((5, 4), bool)),
    "3 classes": lambda: predicted(noise(1, 40, 50, 3, 5)),
    "on the map": lambda: predicted(noise(1, 40, 50, 3, 5), reference=utm(40, 50)),
    "overlapping": lambda: overlapping(np.random.default_rng(1).random((3, 20, 20)).astype(np.float32)),
    "16 bits": sixteen_bits,
    "one class": one_class,
}


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("word", OUTPUTS)
def test_any_prediction_is_written_the_same_each_time(word: str, kind: str) -> None:
    for shaping in (Shaping(), SPLIT):
        first, second = (render(word, MADE[kind](), shaping) for _ in range(2))
        assert first == second
        assert list(first) == endings(word, MADE[kind]().table)
        assert all(isinstance(content, bytes) for content in first.values())


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("word", COLLECTED)
def test_collected_files_too(word: str, kind: str) -> None:
    written = []
    for _ in range(2):
        collector = COLLECTED[word](MADE[kind]().table, SPLIT)
        collector.add("first", MADE[kind]())
        collector.add("second", MADE[kind]())
        written.append(collector.finish())
    assert written[0] == written[1]
    assert all(re.fullmatch(r"[\w.]+", name) for name in written[0])


def test_words_and_endings_are_each_there_once() -> None:
    assert len(set(WORDS)) == len(WORDS) == len(OUTPUTS) + len(COLLECTED)
    every = [ending for word in OUTPUTS for ending in endings(word, table())]
    assert len({ending.casefold() for ending in every}) == len(every)
    assert all(re.fullmatch(r"[a-z0-9]+(\.[a-z]+)+", ending) for ending in every)
    assert all(output.about for output in OUTPUTS.values())


def test_every_word_has_a_row_on_its_page() -> None:
    rows = dict(re.findall(r"^\| `([a-z0-9]+)` \| (.*?) \|", PAGE, re.MULTILINE))
    assert set(rows) == set(WORDS)
    for word in OUTPUTS:
        assert re.findall(r"`NAME_(.*?)`", rows[word]) == endings(word, table())


@pytest.mark.parametrize(
    ("word", "library"),
    [("geopackage", "pyogrio"), ("cog", "rasterio"), ("geotiff", "pyproj"), ("geojson", "pyproj")],
)
def test_a_missing_library_is_one_sentence(word: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from masksmith.images import systems
    from masksmith.outputs import place

    systems.of.cache_clear()
    place._way.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(EnvironmentFault, match=re.escape("masksmith[geo]")):
        render(word, predicted(np.ones((3, 3)), reference=utm(3, 3)))


def test_simpler_outlines_need_shapely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shapely", None)
    render("labelme", predicted(np.ones((3, 3))))
    with pytest.raises(EnvironmentFault, match=re.escape("masksmith[geo]")):
        render("labelme", predicted(np.ones((3, 3))), SPLIT)
