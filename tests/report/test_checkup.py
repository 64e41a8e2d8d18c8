"""The page and the JSON of a checkup: whole, harmless, and right whatever the data hold."""

from __future__ import annotations

import base64
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from corpus_faulty import FAULTY, HEALTHY
from corpus_faulty.judge import RAISED
from helpers import write_image, write_set
from masksmith.data import dataset, doctor
from masksmith.data.findings import FINDINGS
from masksmith.recipe import DataSettings
from masksmith.report import checkup as reported
from masksmith.report.page import charts, percent, plain
from masksmith.report.page.choice import choose
from masksmith.report.page.pictures import shrink

EVIL = "<img src=x onerror=alert(1)> & 'x'"

KEYS = {
    "root", "layout", "verdict", "parts", "masks", "classes", "ignored", "sizes", "channels", "dtypes", "findings",
}  # fmt: skip
CLASS_KEYS = {
    "index", "name", "color", "value", "read_by", "ignored", "pixels", "share", "pictures", "things", "width_px",
}  # fmt: skip
FINDING_KEYS = {"kind", "severity", "what", "where", "expected", "received", "remedy", "sentence", "files"}


@pytest.fixture(autouse=True)
def _own_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes among the scans of this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in {"meta", "link", "img", "rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def examined(root: Path, *, seed: int | None = 0) -> doctor.Checkup:
    settings = DataSettings()
    return doctor.examine(dataset.find(root, settings), settings, seed=seed)


def page_of(checkup: doctor.Checkup, folder: Path) -> Page:
    reported.write_page(folder / "page.html", checkup)
    page = Page((folder / "page.html").read_text(encoding="utf-8"))
    assert page.open == []
    return page


def harmless(page: Page) -> None:
    """Nothing is loaded, nothing runs, and every picture and table can be read without eyes."""
    assert not {"script", "iframe", "object", "embed", "form", "base"} & {name for name, _ in page.tags}
    for name, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on")]
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith(("#", "data:")), (name, attributes)
        assert "url(" not in attributes.get("style", "")
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert all(one["alt"] for one in page.all("img"))
    assert all(one["aria-label"] for one in page.all("svg"))
    assert all(one["scope"] in {"col", "row"} for one in page.all("th"))
    levels = [int(name[1]) for name, _ in page.tags if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.all("a")} <= set(ids)


def test_the_json_holds_all_keys_and_the_right_figures(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", values=(0, 1, 2), count=3)
    (root / "classes.csv").write_text("name,r,g,b\nground,0,0,0\nhouse,230,80,60\ntree,60,160,80\nvoid,255,255,255\n")
    told = json.loads(json.dumps(reported.to_dict(examined(root)), allow_nan=False))
    assert told.keys() == KEYS
    assert all(one.keys() == CLASS_KEYS for one in told["classes"])
    assert all(one.keys() == FINDING_KEYS for one in told["findings"])
    assert told["parts"] == {"train": 3, "val": 3, "test": 3}
    assert told["sizes"] == [{"width": 48, "height": 40, "pictures": 9}]
    assert told["channels"] == [{"channels": 3, "pictures": 9}]
    assert told["dtypes"] == [{"dtype": "uint8", "pictures": 9}]
    assert [one["name"] for one in told["classes"]] == ["ground", "house", "tree", "void"]
    assert [one["ignored"] for one in told["classes"]] == [False, False, False, True]
    assert told["classes"][1]["color"] == "#e6503c"
    for part in ("train", "val", "test"):
        assert sum(one["pixels"][part] for one in told["classes"][:3]) == 3 * 40 * 48
        assert sum(one["share"][part] for one in told["classes"][:3]) == pytest.approx(1)
        assert told["classes"][2]["pictures"][part] == 3
    severities = [one["severity"] for one in told["findings"]]
    assert told["verdict"] == {"faults": severities.count("fault"), "warnings": severities.count("warning")}


def test_pairs_that_nobody_dealt_out_are_unsplit(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", parts=("",), count=4)
    checkup = examined(root, seed=None)
    told = reported.to_dict(checkup)
    assert told["parts"] == {"unsplit": 4}
    page = page_of(checkup, tmp_path)
    harmless(page)
    assert "4 unsplit" in page.text


@pytest.mark.parametrize("name", [n for n, faulty in FAULTY.items() if faulty.finds not in RAISED][::4])
def test_a_faulty_set_has_a_harmless_page_that_tells_all(name: str, tmp_path: Path) -> None:
    FAULTY[name].make(tmp_path / "set")
    checkup = examined(tmp_path / "set")
    page = page_of(checkup, tmp_path)
    harmless(page)
    json.dumps(reported.to_dict(checkup), allow_nan=False)
    for finding in checkup.findings:
        assert finding.received in page.text
        assert finding.remedy in page.text
        if finding.severity != "note":
            assert all(file.name in page.text for file in finding.files)
    assert len(page.all("img")) <= 2 * 24


@pytest.mark.parametrize("name", list(HEALTHY)[::3])
def test_a_healthy_set_has_a_page_with_pictures(name: str, tmp_path: Path) -> None:
    HEALTHY[name](tmp_path / "set")
    page = page_of(examined(tmp_path / "set"), tmp_path)
    harmless(page)
    assert "Ready to train" in page.text
    overlays = [one for one in page.all("img") if one["alt"].startswith("The mask of")]
    assert overlays
    assert len(page.all("img")) == 2 * len(overlays)


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    root = write_set(tmp_path / EVIL.replace("/", ""), count=3)
    (root / "classes.csv").write_text("name,r,g,b\n<script>alert(1)</script>,0,0,0\n</style><b>,9,9,9\n")
    for side in ("images", "masks"):
        (root / "train" / side / "train_00.png").rename(root / "train" / side / f"{EVIL}.png")
    (root / "train" / "masks" / f"{EVIL}.png").write_bytes(b"no picture")
    page = page_of(examined(root), tmp_path)
    harmless(page)
    assert f"{EVIL}.png" in page.text
    assert "<script>alert(1)</script>" in page.text
    assert all(one["src"].startswith("data:image/") for one in page.all("img"))


def test_what_can_be_shown_is_shown(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", values=(0, 1, 2), count=6, size=(64, 80))
    train = root / "train"
    (root / "classes.csv").write_text("name,r,g,b\nground,0,0,0\nhouse,230,80,60\ntree,60,160,80\n")
    (train / "images" / "train_00.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (train / "masks" / "train_01.png").write_bytes(b"")
    write_image(train / "masks" / "train_02.png", np.ones((20, 20), np.uint8))
    write_image(train / "masks" / "train_03.png", np.full((64, 80), 77, np.uint8))
    (train / "masks" / "train_04.png").unlink()
    page = page_of(examined(root), tmp_path)
    harmless(page)
    for said in (
        "The picture cannot be shown",
        "The mask cannot be shown: an empty file",
        "The mask is shown alone: it has 20×20 pixels, its picture 80×64",
        "The mask is shown as stored",
        "no mask",
        "Not ready to train",
    ):
        assert said in page.text
    alts = [one["alt"] for one in page.all("img")]
    assert "The picture train_00.png" not in alts
    assert any(alt.startswith("The mask of train_00.png: ") for alt in alts)
    assert "The mask of train_03.png as stored" in alts


def test_masks_without_a_meaning_are_shown_as_stored(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", parts=("train", "val"))
    for path in root.rglob("masks/*.png"):
        write_image(path, np.random.default_rng(1).integers(0, 256, (40, 48), np.uint8))
    checkup = examined(root)
    assert checkup.decision is None
    told = reported.to_dict(checkup)
    assert told["masks"] is None
    assert told["classes"] == []
    assert told["sizes"] == [{"width": 48, "height": 40, "pictures": 6}]
    page = page_of(checkup, tmp_path)
    harmless(page)
    assert "mask as stored" in page.text


def test_a_small_picture_is_in_the_page_as_it_is_a_large_one_smaller(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", size=(40, 48))
    big = root / "train"
    write_image(big / "images" / "train_00.png", np.zeros((900, 3000, 3), np.uint8))
    write_image(big / "masks" / "train_00.png", np.eye(900, 3000, dtype=np.uint8))
    page = page_of(examined(root), tmp_path)
    sizes = {(int(one["width"]), int(one["height"])) for one in page.all("img")}
    assert sizes == {(48, 40), (320, 96)}
    for one in page.all("img"):
        content = np.frombuffer(base64.b64decode(one["src"].split(",")[1]), np.uint8)
        pixels = cv2.imdecode(content, cv2.IMREAD_COLOR)
        assert pixels is not None
        assert pixels.shape[:2] == (int(one["height"]), int(one["width"]))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 1, 1), np.uint8),
        np.zeros((5000, 1, 3), np.uint8),
        np.full((30, 40, 7), 60000, np.uint16),
        np.full((30, 40, 2), np.nan, np.float32),
        np.full((30, 40, 1), 1e300, np.float64),
        np.array([[[-np.inf], [np.inf]]], np.float16),
        np.arange(1200, dtype=np.int32).reshape(30, 40, 1) * 100000,
    ],
)
def test_any_picture_becomes_a_small_one(pixels: np.ndarray) -> None:
    small = shrink(pixels, np.zeros(pixels.shape[:2], np.bool_))
    assert small.dtype == np.uint8
    assert max(small.shape[:2]) <= 320
    assert small.shape[2] == 3


def test_what_is_no_pixel_does_not_darken_the_others() -> None:
    pixels = np.tile(np.linspace(100, 200, 40, dtype=np.float32), (40, 1))[..., None]
    pixels[:, :20] = -1e6
    assert shrink(pixels, pixels[..., 0] > 0)[:, 20:].std() > 50


def test_every_fault_gets_a_picture_before_any_gets_two(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", count=40, parts=("train", "val"))
    for number in range(30):
        (root / "train" / "masks" / f"train_{number:02}.png").write_bytes(b"")
    write_image(root / "train" / "masks" / "train_35.png", np.ones((9, 9), np.uint8))
    checkup = examined(root)
    suspicious, sample = choose(checkup.dataset.pairs, checkup.findings)
    assert len(suspicious) == 16
    assert len(sample) == 8
    assert "train_35.png" in {item.name for item in suspicious}
    assert {item.part for item in sample} == {"train", "val"}
    assert not {item.name for item in suspicious} & {item.name for item in sample}
    numbers = [item.reasons[0][0] for item in suspicious]
    assert numbers == sorted(numbers)
    assert all(FINDINGS[checkup.findings[n].kind].what == what for item in suspicious for n, what in item.reasons)


def test_a_chart_counts_every_value_and_says_it() -> None:
    chart = charts.columns("Brightness", [1.0, 2.0, 2.0, 1e308], "mean value")
    assert sum(int(n) for _, n in chart.rows) == 4
    assert charts.columns("Brightness", [5.0], "mean value").rows
    many = charts.rows("Sizes", [(f"{n}×{n}", float(n), str(n), "") for n in range(40)], ("size", "pictures"))
    assert len(many.rows) == 40
    assert len(many.bars) == 16
    assert any(word.text == "and 24 more" for word in many.words)


def test_rare_is_not_absent() -> None:
    assert [percent(s).replace("\u00a0", " ") for s in (0, 1e-7, 0.00123, 0.123, 0.9999, 1)] == [
        "0 %",
        "< 0.01 %",
        "0.12 %",
        "12.3 %",
        "100 %",
        "100 %",
    ]
    assert plain("\udce9") == "\\udce9"


def test_drawn_regions_need_their_picture(tmp_path: Path) -> None:
    HEALTHY["outlines beside the pictures"](tmp_path / "set")
    found = dataset.find(tmp_path / "set", DataSettings())
    found.pairs[0].image.write_bytes(b"")
    page = page_of(examined(tmp_path / "set"), tmp_path)
    harmless(page)
    assert "mask cannot be shown" in page.text
