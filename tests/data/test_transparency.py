"""Pins down a fourth channel that files call transparency: dropped where it is that, used where it was measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

import masksmith
from helpers import write_image
from masksmith import images
from masksmith.cli import main
from masksmith.data import dataset, doctor, mend
from masksmith.data.batches import PairReader
from masksmith.data.doctor import Checkup, examine
from masksmith.recipe import DataSettings
from masksmith.service.pictures import decode

U8 = npt.NDArray[np.uint8]
Write = Callable[[Path, U8], None]


@pytest.fixture(autouse=True)
def _no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def as_tiff(path: Path, pixels: U8) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), pixels)  # which calls a fourth channel transparency


def as_png(path: Path, pixels: U8) -> None:
    Image.fromarray(pixels).save(path.with_suffix(".png"))


def as_told(path: Path, pixels: U8) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), pixels, photometric="rgb", extrasamples=["unspecified"])


def scene(number: int, side: int = 48) -> tuple[U8, U8]:
    """A picture (H, W, 4) whose plants are seen in the fourth channel alone, and their mask (H, W)."""
    rng = np.random.default_rng(number)
    mask = np.zeros((side, side), np.uint8)
    for _ in range(4):
        y, x = rng.integers(0, side - 14, 2)
        mask[y : y + 14, x : x + 14] = 1
    pixels = rng.integers(60, 140, (side, side, 4), np.uint8)
    pixels[..., 3] = np.where(mask == 1, 180, 60) + rng.integers(-20, 21, mask.shape)
    return pixels, mask


def lay(root: Path, write: Write, change: Callable[[int, U8], U8] = lambda number, pixels: pixels) -> Path:
    (root / "images").mkdir(parents=True)
    for number in range(8):
        pixels, mask = scene(number)
        write(root / "images" / f"{number}", change(number, pixels))
        write_image(root / "masks" / f"{number}.png", mask)
    return root


def checked(root: Path) -> Checkup:
    return examine(dataset.find(root, DataSettings()), DataSettings())


def notes(found: Checkup) -> list[str]:
    return [f.received for f in found.findings if f.kind == "band"]


def soft(number: int, pixels: U8) -> U8:
    """Cut out of its background: a third of the columns fades, as a brush with a soft edge makes it."""
    pixels[..., 3] = np.clip(np.arange(48) * 16 - 256, 0, 255)
    return pixels


@pytest.mark.parametrize("write", [as_tiff, as_png])
def test_what_varies_as_a_measured_band_does_is_a_channel(tmp_path: Path, write: Write) -> None:
    found = checked(lay(tmp_path, write))
    assert found.faults == []
    assert len(notes(found)) == 1
    _, fingerprint = found.require()
    pixels = np.stack([images.read(p.image).with_channels(4).pixels_HWC for p in found.dataset.part("train")])
    assert fingerprint.preprocessing.channels == 4
    assert fingerprint.preprocessing.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)))
    assert fingerprint.preprocessing.std == pytest.approx(pixels.std(axis=(0, 1, 2)))
    assert len(fingerprint.classes[1].mean_C) == 4
    again = checked(tmp_path)  # from what the first scan has kept
    assert again.require()[1].preprocessing == fingerprint.preprocessing


@pytest.mark.parametrize("write", [as_tiff, as_png])
@pytest.mark.parametrize("constant", [None, 0, 128, 255])
def test_transparency_is_no_channel(tmp_path: Path, write: Write, constant: int | None) -> None:
    def change(number: int, pixels: U8) -> U8:
        if constant is None:
            return soft(number, pixels)
        # A picture of which nothing can be seen is one of several, or there would be nothing to train on.
        pixels[..., 3] = constant if number % 2 else 255
        return pixels

    found = checked(lay(tmp_path, write, change))
    assert found.faults == []
    assert notes(found) == []
    assert found.require()[1].preprocessing.channels == 3


def test_a_few_soft_cut_outs_among_colour_pictures_stay_colour(tmp_path: Path) -> None:
    def write(path: Path, pixels: U8) -> None:
        as_png(path, pixels if path.name in {"1", "2"} else pixels[..., :3])

    found = checked(lay(tmp_path, write))
    assert found.faults == []
    assert found.require()[1].preprocessing.channels == 3


def test_one_dark_band_among_measured_ones_is_a_band_that_hides_nothing(tmp_path: Path) -> None:
    """As over water, which swallows near-infrared."""

    def change(number: int, pixels: U8) -> U8:
        if number == 3:
            pixels[..., 3] = 0
        return pixels

    found = checked(lay(tmp_path, as_tiff, change))
    assert found.faults == []
    table, fingerprint = found.require()
    assert fingerprint.preprocessing.channels == 4
    reader = PairReader(found.dataset.pairs, table, fingerprint.preprocessing)
    assert [reader.read_valid(index)[2] for index in range(8)] == [None] * 8


def test_files_of_programs_that_were_told_and_of_those_that_were_not(tmp_path: Path) -> None:
    def write(path: Path, pixels: U8) -> None:
        (as_told if int(path.name) < 6 else as_tiff)(path, pixels)

    found = checked(lay(tmp_path, write))
    assert found.faults == []
    assert found.require()[1].preprocessing.channels == 4


def test_a_picture_without_the_band_is_named(tmp_path: Path) -> None:
    def write(path: Path, pixels: U8) -> None:
        as_tiff(path, pixels[..., :3] if path.name == "5" else pixels)

    (fault,) = checked(lay(tmp_path, write)).faults
    assert (fault.kind, [p.name for p in fault.files]) == ("channels", ["5.tif"])


def test_a_mended_copy_keeps_the_band(tmp_path: Path) -> None:
    def write(path: Path, pixels: U8) -> None:
        if path.name == "2":  # of another dtype, so that it is written anew
            tifffile.imwrite(path.with_suffix(".tif"), pixels.astype(np.uint16) * 257)
        else:
            as_tiff(path, pixels)

    root = lay(tmp_path / "data", write)
    found = dataset.find(root, DataSettings())
    mend.mend(doctor.examine(found, DataSettings()), DataSettings(), tmp_path / "mended")
    copy = checked(tmp_path / "mended")
    assert copy.faults == []
    assert copy.require()[1].preprocessing.channels == 4
    for pair in copy.dataset.pairs:
        stored = images.read(pair.image).with_channels(4).pixels_HWC
        np.testing.assert_array_equal(stored, scene(int(pair.name.rsplit("/", 1)[-1]))[0])


@pytest.mark.parametrize("write", [as_tiff, as_png])
def test_it_is_learnt_from_and_read_likewise_afterwards(
    tmp_path: Path, write: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    data, run = lay(tmp_path / "data", write), tmp_path / "run"
    small = ["model.width=8", "model.depth=2", "crop=48", "batch_size=4", "device=cpu"]
    assert main(["check", str(data)]) == 0
    assert "4 channels, uint8" in capfd.readouterr().out
    assert main(["train", str(data), "-o", str(run), "-q", "--steps", "40", *small]) == 0
    segmenter = masksmith.load(run)
    assert segmenter.model.preprocessing.channels == 4
    pixels, mask = scene(100)
    new = tmp_path / "new" / "p"
    new.parent.mkdir()
    write(new, pixels)
    path = next(new.parent.iterdir())
    wanted = segmenter.segment(pixels)
    assert (wanted.mask_HW == mask).mean() > 0.9  # three colours of noise would give 0.7
    for found in (segmenter.segment(path), segmenter.segment(Image.fromarray(pixels))):
        np.testing.assert_array_equal(found.mask_HW, wanted.mask_HW)
        np.testing.assert_array_equal(found.pixels_HWC, pixels)
    served = decode(path.read_bytes(), path.name, segmenter.model, most_pixels=10**6)
    np.testing.assert_array_equal(served.picture.pixels_HWC, pixels)
    segmenter.segment_large(path, tmp_path / "large.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "large.tif"), wanted.mask_HW)
    assert main(["predict", str(run), str(path), "-o", str(tmp_path / "out"), "-q"]) == 0
    np.testing.assert_array_equal(images.read(tmp_path / "out" / "p_mask.png").indices_HW, wanted.mask_HW)
