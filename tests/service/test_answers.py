"""What is answered for pictures: the bytes of the command line, whoever else asks."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import zipfile
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import tifffile

import masksmith
from masksmith.classes import ClassTable, Entry
from masksmith.cli import main
from masksmith.inference import kept
from masksmith.inference.cleanup import CleanupSettings, clean
from masksmith.inference.prediction import Prediction
from masksmith.outputs import render
from masksmith.run import Run
from masksmith.service import answers, own, schema
from service.serving import NAMES, WAIT_S, Serving, encoded, picture

SAVED = {
    "mask": "mask.png",
    "overlay": "overlay.png",
    "probabilities": "probabilities.tif",
    "confidence": "confidence.png",
    "geotiff": "geotiff.tif",
    "geojson": "regions.geojson",
    "labelme": "labelme.json",
    "npy": "mask.npy",
}
ENTRIES = (Entry("roof", (9, 9, 9), 1), Entry("tree", (0, 99, 0), 2))
# Half a metre a pixel in UTM zone 32.
PLACE = [
    (33550, 12, 3, (0.5, 0.5, 0.0), True),
    (33922, 12, 6, (0.0, 0.0, 0.0, 500100.0, 5300300.0, 0.0), True),
    (34735, 3, 8, (1, 1, 0, 1, 3072, 0, 1, 32632), True),
]


def entries(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def saved(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures and what the command line makes of them."""
    folder = tmp_path_factory.mktemp("saved")
    for number, ending in enumerate((".png", ".jpg", ".bmp")):
        (folder / f"a{number}{ending}").write_bytes(encoded(picture(number), ending))
    tifffile.imwrite(folder / "a3.tif", picture(3), photometric="rgb", extratags=PLACE)
    pictures = [str(path) for path in sorted(folder.iterdir())]
    words = ["--save", ",".join(SAVED), "--runtime", "torch", "--device", "cpu", "-q"]
    assert main(["predict", str(run), *pictures, "-o", str(folder / "out"), *words]) == 0
    return folder


@pytest.mark.parametrize("name", ["a0.png", "a1.jpg", "a2.bmp", "a3.tif"])
@pytest.mark.parametrize("output", SAVED)
def test_the_bytes_of_the_command_line(serving: Serving, saved: Path, name: str, output: str) -> None:
    answer = serving.post((saved / name).read_bytes(), output, name)
    file = f"{name.partition('.')[0]}_{SAVED[output]}"
    assert answer.status_code == 200
    assert answer.content == (saved / "out" / file).read_bytes()
    assert f'filename="{file}"' in answer.headers["content-disposition"]
    assert answer.headers["content-type"] == answers.media_type(file)


def test_the_place_of_a_picture_comes_along(serving: Serving, saved: Path) -> None:
    found = serving.post((saved / "a3.tif").read_bytes(), "geojson").json()
    assert "pixels" not in found
    x, y = found["features"][0]["geometry"]["coordinates"][0][0]
    assert 8.9 < x < 9.1
    assert 47 < y < 48.5


def test_bare_bytes_and_an_untrue_name(serving: Serving, saved: Path) -> None:
    wanted = (saved / "out" / "a1_mask.png").read_bytes()
    content = (saved / "a1.jpg").read_bytes()
    for kind in ("image/jpeg", "image/png", "application/octet-stream", "application/x-www-form-urlencoded"):
        answer = serving.client.post("/v1/segment?output=mask", content=content, headers={"Content-Type": kind})
        assert answer.content == wanted
    assert 'filename="picture_mask.png"' in answer.headers["content-disposition"]
    assert serving.post(content, "mask", "really.png").content == wanted


def test_figures_and_layers_are_those_of_the_prediction(serving: Serving, run: Path) -> None:
    content = encoded(picture())
    found = masksmith.load(run, device="cpu").segment(picture()[..., ::-1].copy())
    figures = schema.Figures.model_validate_json(serving.post(content, "figures").content)
    assert (figures.width, figures.height, figures.model) == (56, 40, "first")
    assert [one.name for one in figures.classes] == list(NAMES)
    assert [one.pixels for one in figures.classes] == [int((found.mask_HW == k).sum()) for k in range(3)]
    assert sum(one.share for one in figures.classes) == pytest.approx(1)
    layers = cv2.imdecode(np.frombuffer(serving.post(content, "layers").content, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(layers[..., 2], found.mask_HW)
    np.testing.assert_array_equal(layers[..., 1], np.round(found.confidence_HW * 255))
    assert not layers[..., 0].any()
    shown = serving.post(content, "picture")
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(shown.content, np.uint8), cv2.IMREAD_COLOR), picture())


def test_classes_that_overlap(serving: Serving, layered: Path) -> None:
    content = encoded(picture())
    found = masksmith.load(layered, device="cpu").segment(picture()[..., ::-1].copy())
    answer = serving.client.post("/v1/segment?output=mask&model=layered", files={"picture": ("b.png", content)})
    assert answer.headers["content-type"] == "application/zip"
    assert entries(answer.content) == {f"b_{ending}": made for ending, made in render("mask", found).items()}
    answer = serving.client.post("/v1/segment?output=layers&model=layered", content=content)
    layers = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED).astype(np.uint16)
    np.testing.assert_array_equal(layers[..., 2] | layers[..., 0] << 8, found.mask_HW)
    about = serving.get("/v1/model?model=layered").json()
    assert about["overlapping"]
    assert next(one["ending"] for one in about["outputs"] if one["name"] == "mask") == "mask.zip"


def test_layers_where_the_picture_has_a_gap() -> None:
    for table, mask_HW, gap in (
        (ClassTable(ENTRIES), np.array([[1, 0]], np.uint8), 255),
        (ClassTable(ENTRIES, overlapping=True), np.array([[3, 1]], np.uint16), 1 << 15),
    ):
        shares_KHW = np.zeros((2, 1, 2), np.float32)
        pixels_HWC = np.zeros((1, 2, 3), np.uint8)
        found = Prediction(mask_HW, shares_KHW, pixels_HWC, table, valid_HW=np.array([[True, False]]))
        layers = cv2.imdecode(np.frombuffer(own.layers(found), np.uint8), cv2.IMREAD_UNCHANGED).astype(np.uint16)
        np.testing.assert_array_equal(layers[..., 2] | layers[..., 0] << 8, [[mask_HW[0, 0], gap]])


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("", "application/json"),
        ("image/png", "image/png"),
        ("image/*;q=0.5, application/geo+json", "application/geo+json"),
        ("text/html, image/png;q=0.9, */*;q=0.1", "image/png"),
        ("application/json;q=0, image/tiff", "image/tiff"),
    ],
)
def test_the_accept_header_decides_where_no_output_is_named(serving: Serving, accept: str, kind: str) -> None:
    answer = serving.post(encoded(picture()), headers={"Accept": accept})
    assert answer.headers["content-type"] == kind


@pytest.mark.parametrize("output", answers.NAMES)
def test_every_output_can_be_asked_for(serving: Serving, output: str) -> None:
    answer = serving.post(encoded(picture()), output)
    assert answer.status_code == 200, answer.text
    assert answer.content
    assert {part.partition(";")[0] for part in answer.headers["server-timing"].split(", ")} == {
        "queue", "decode", "network", "encode",
    }  # fmt: skip
    described = {one["name"]: one["ending"] for one in serving.get("/v1/model").json()["outputs"]}
    assert f'filename="a_{described[output]}"' in answer.headers["content-disposition"]


def test_a_batch(serving: Serving, saved: Path) -> None:
    sent = [("a0.png", "a0.png"), ("x/a0.png", "a1.jpg"), ("A0.png", "a3.tif")]
    files = [("pictures", (name, (saved / file).read_bytes())) for name, file in sent]
    answer = serving.client.post("/v1/segment/batch", files=[*files, ("pictures", ("<b>.png", b"\x89PNG"))])
    found = entries(answer.content)
    assert list(found) == ["a0_mask.png", "a0_mask-2.png", "A0_mask-3.png", "errors.json"]
    for name, (_, file) in zip(found, sent, strict=False):
        assert found[name] == (saved / "out" / f"{file[:2]}_mask.png").read_bytes()
    errors = json.loads(found["errors.json"])
    assert errors["_b_.png"]["code"] == 400
    assert "errors.json" not in entries(serving.client.post("/v1/segment/batch?output=npy", files=files).content)


@pytest.mark.parametrize(
    ("whole", "masks", "key"),
    [((1, 0, 1), ["a_mask.png", "a_mask-3.png"], "a-2.png"), ((0, 1), ["a_mask-2.png"], "a.png")],
    ids=["in the middle", "first"],
)
def test_the_number_of_a_broken_picture_is_no_other_s(
    serving: Serving, whole: tuple[int, ...], masks: list[str], key: str
) -> None:
    contents = [encoded(picture()) if one else b"\x89PNG" for one in whole]
    files = [("pictures", (f"{n}/a.png", content)) for n, content in enumerate(contents)]
    found = entries(serving.client.post("/v1/segment/batch", files=files).content)
    assert list(found) == [*masks, "errors.json"]
    assert list(json.loads(found["errors.json"])) == [key]


def test_masks_are_cleaned_as_the_run_says(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "tuned")
    loaded, settings = masksmith.load(folder, device="cpu"), CleanupSettings(min_object_px=400, fill_holes_px=99)
    kept.write(Run(folder).cleanup_file, loaded.model.checksum, settings, {})
    found = loaded.segment(picture()[..., ::-1].copy())
    wanted = render("npy", clean(found, settings))["mask.npy"]
    assert wanted != render("npy", found)["mask.npy"]
    with Serving(folder) as serving:
        assert serving.post(encoded(picture()), "npy").content == wanted
        layers = cv2.imdecode(np.frombuffer(serving.post(encoded(picture()), "layers").content, np.uint8), -1)
        p_HW = np.take_along_axis(found.probabilities_KHW, layers[None, ..., 2].astype(int), axis=0)[0]
        np.testing.assert_array_equal(layers[..., 1], np.round(p_HW * 255))
        assert "400 px" in serving.get("/v1/model").json()["cleanup"]


def test_a_choice_for_another_network_is_told_at_the_start(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(run, tmp_path / "stale")
    checksum = masksmith.load(run, device="cpu").model.checksum
    for chosen_for, lines in ((checksum, []), ("0" * 64, ["was chosen for another network and is not applied"])):
        caplog.clear()
        kept.write(Run(folder).cleanup_file, chosen_for, CleanupSettings(min_object_px=400), {})
        with Serving(folder) as serving:
            assert bool(serving.get("/v1/model").json()["cleanup"]) != bool(lines)
        told = [record.getMessage() for record in caplog.records if record.name == "masksmith.service"]
        assert len(told) == len(lines)
        assert all(line in one for line, one in zip(lines, told, strict=True))


def test_32_at_a_time_get_each_its_own(serving: Serving, run: Path) -> None:
    segmenter = masksmith.load(run, device="cpu")
    pixels = [picture(seed, (24 + seed % 3, 32)) for seed in range(32)]
    wanted = [render("probabilities", segmenter.segment(one[..., ::-1].copy()))["probabilities.tif"] for one in pixels]
    assert len(set(wanted)) == 32

    async def ask() -> list[bytes]:
        limits = httpx.Limits(max_connections=32)
        async with httpx.AsyncClient(
            base_url=serving.server.url, trust_env=False, timeout=WAIT_S, limits=limits
        ) as client:
            asked = [client.post("/v1/segment?output=probabilities", content=encoded(one)) for one in pixels]
            return [answer.content for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == wanted
