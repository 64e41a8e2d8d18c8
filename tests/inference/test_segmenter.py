"""Pins down the Segmenter: a path, an array and a PIL picture of the same pixels get the same answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import masksmith
from helpers import write_image
from masksmith import modelfile
from masksmith.classes import ClassTable, make_entries
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import DataError, EnvironmentFault, InputError, RunError
from masksmith.inference.answering import choose
from masksmith.inference.segmenter import Segmenter
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe

TABLE = ClassTable(make_entries(["sky", "tree", "car"]))


def model(channels: int = 3, classes: int = 3, dtype: str = "uint8", **network: str) -> ModelFile:
    arguments = {"in_channels": channels, "num_classes": classes, "depth": 2, "width": 4, "norm": "batch", **network}
    torch.manual_seed(0)
    weights = UNet(**arguments).state_dict()
    table = TABLE if classes == 3 else ClassTable(make_entries(["no", "yes"]))
    return ModelFile(
        arguments, table, Preprocessing(channels, dtype, (100.0,) * channels, (50.0,) * channels), Recipe(), weights
    )


def segmenter(**options: object) -> Segmenter:
    return Segmenter(model(**options), device="cpu", precision="fp32")  # type: ignore[arg-type]


def noise(*shape: int, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


def test_path_array_and_pil_agree(tmp_path: Path) -> None:
    pixels, ours = noise(31, 22, 3), segmenter()
    path = write_image(tmp_path / "p.png", pixels)
    answers = [ours.segment(image) for image in (path, str(path), pixels, Image.open(path), Image.fromarray(pixels))]
    for found in answers:
        np.testing.assert_array_equal(found.probabilities_KHW, answers[0].probabilities_KHW)
        np.testing.assert_array_equal(found.pixels_HWC, pixels)
        assert found.table == TABLE
    assert [a.source for a in answers] == [path, path, None, None, None]


def test_prediction_is_of_the_pictures_size_and_consistent() -> None:
    found = segmenter().segment(noise(31, 22, 3))
    assert (found.mask_HW.shape, found.mask_HW.dtype) == ((31, 22), np.uint8)
    assert found.probabilities_KHW.shape == (3, 31, 22)
    np.testing.assert_array_equal(found.mask_HW, found.probabilities_KHW.argmax(axis=0))
    np.testing.assert_array_equal(found.confidence_HW, found.probabilities_KHW.max(axis=0))
    np.testing.assert_array_equal(found.color_HW3, TABLE.palette_K3[found.mask_HW])
    shares = found.shares()
    assert list(shares) == TABLE.names
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["sky"] == pytest.approx((found.mask_HW == 0).mean())


def test_answer_is_the_networks() -> None:
    pixels, made = noise(32, 24, 3), model()
    x = torch.from_numpy((pixels.astype(np.float32) - 100) / 50).permute(2, 0, 1)[None]
    with torch.no_grad():
        logits = made.build()(x)
    assert isinstance(logits, torch.Tensor)
    found = Segmenter(made, device="cpu", precision="fp32").segment(pixels)
    np.testing.assert_allclose(found.probabilities_KHW, logits.softmax(1)[0].numpy(), atol=1e-5)


def test_one_logit_has_two_classes() -> None:
    found = segmenter(classes=1).segment(noise(9, 9, 3))
    assert found.probabilities_KHW.shape == (2, 9, 9)
    assert set(np.unique(found.mask_HW)) <= {0, 1}


@pytest.mark.parametrize("mode", ["P", "RGBA", "L", "LA", "1", "CMYK", "RGB"])
def test_pil_pictures_of_any_mode(mode: str) -> None:
    image = Image.fromarray(noise(12, 13, 3)).convert(mode)
    found = segmenter().segment(image)
    assert found.mask_HW.shape == (12, 13)
    plain = np.asarray(image.convert("L").convert("RGB") if mode in {"L", "LA", "1"} else image.convert("RGB"))
    np.testing.assert_array_equal(found.probabilities_KHW, segmenter().segment(plain).probabilities_KHW)


@pytest.mark.parametrize("shape", [(12, 13), (12, 13, 1)])
def test_grey_arrays(shape: tuple[int, ...]) -> None:
    assert segmenter().segment(noise(*shape)).mask_HW.shape == (12, 13)
    assert segmenter(channels=1).segment(noise(*shape)).mask_HW.shape == (12, 13)


def test_five_channels_of_16_bits(tmp_path: Path) -> None:
    pixels, ours = noise(12, 13, 5, dtype="uint16"), segmenter(channels=5, dtype="uint16")
    path = write_image(tmp_path / "p.tif", pixels)
    np.testing.assert_array_equal(ours.segment(path).probabilities_KHW, ours.segment(pixels).probabilities_KHW)


def test_the_byte_order_of_another_machine(tmp_path: Path) -> None:
    pixels, ours = noise(12, 13, dtype="uint16"), segmenter(channels=1, dtype="uint16")
    tifffile.imwrite(tmp_path / "p.tif", pixels, byteorder=">")
    wanted = ours.segment(pixels)
    with Image.open(tmp_path / "p.tif") as picture:
        assert picture.mode == "I;16B"
        for image in (pixels.astype(">u2"), pixels.astype("<u2"), picture):
            np.testing.assert_array_equal(ours.segment(image).probabilities_KHW, wanted.probabilities_KHW)


def test_single_precision_whatever_the_caller_has_torch_make() -> None:
    wanted = segmenter().segment(noise(9, 9, 3)).probabilities_KHW
    made = model()
    torch.set_default_dtype(torch.float64)
    try:
        found = Segmenter(made, device="cpu", precision="fp32").segment(noise(9, 9, 3)).probabilities_KHW
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("most_bytes", [-1, 0, 0.5, float("nan"), float("inf"), "2e9", None])
def test_room_for_windows_that_is_none_is_refused(tmp_path: Path, most_bytes: Any) -> None:  # noqa: ANN401
    modelfile.write(tmp_path / "model.safetensors", model())
    for runs in (tmp_path, [tmp_path, tmp_path]):
        with pytest.raises(InputError, match=f"most_bytes: expected a whole number of bytes.*{most_bytes!r}"):
            masksmith.load(runs, device="cpu", most_bytes=most_bytes)


def test_room_for_windows_as_a_whole_float(tmp_path: Path) -> None:
    modelfile.write(tmp_path / "model.safetensors", model())
    for runs in (tmp_path, [tmp_path, tmp_path]):
        tiles = [masksmith.load(runs, device="cpu", most_bytes=most).tile_px for most in (10**8, 1e8)]  # type: ignore[arg-type]
        assert tiles[0] == tiles[1]


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (noise(9, 9, 3, dtype="float32"), "uint8 pixels, as in training, received float32"),
        (noise(9, 9, 5), "3 channels, as in training, received 5"),
    ],
)
def test_picture_of_another_kind_is_refused(image: np.ndarray, word: str) -> None:
    with pytest.raises(DataError, match=word):
        segmenter().segment(image)


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (None, "NoneType"),
        (3, "int"),
        ([[1, 2]], "list"),
        (noise(2, 9, 9, 3), r"\(2, 9, 9, 3\)"),
        (noise(0, 9, 3), r"\(0, 9, 3\)"),
    ],
)
def test_what_is_no_picture_is_refused(image: object, word: str) -> None:
    with pytest.raises(InputError, match=word):
        segmenter().segment(image)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        segmenter().segment(tmp_path / "none.png")


def test_load_takes_a_file_or_its_folder(tmp_path: Path) -> None:
    modelfile.write(tmp_path / "model.safetensors", model())
    wanted = segmenter().segment(noise(9, 9, 3)).probabilities_KHW
    for place in (tmp_path, str(tmp_path), tmp_path / "model.safetensors"):
        found = masksmith.load(place, device="cpu", precision="fp32").segment(noise(9, 9, 3))
        np.testing.assert_array_equal(found.probabilities_KHW, wanted)
    with pytest.raises(RunError):
        masksmith.load(tmp_path / "none")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has that device")
def test_missing_device_is_the_machines_fault() -> None:
    with pytest.raises(EnvironmentFault, match=r"a device of this machine: .*cpu"):
        Segmenter(model(), device="cuda")


def test_a_precision_that_is_none_is_refused(tmp_path: Path) -> None:
    modelfile.write(tmp_path / "model.safetensors", model())
    with pytest.raises(InputError, match=r'precision=bfloat16: .*did you mean "bf16"'):
        masksmith.load(tmp_path, device="cpu", precision="bfloat16")


def test_choose_takes_the_most_probable() -> None:
    probabilities = np.array([[[0.2, 0.5]], [[0.7, 0.1]], [[0.1, 0.4]]], np.float32)
    assert choose(probabilities).tolist() == [[1, 0]]


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_what_fading_changes_is_measured_and_nothing_is_where_tiles_are_exact(padding: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 200, 3)).astype(np.uint8)
    exact, faded = (segmenter(norm=norm, padding=padding) for norm in ("batch", "instance"))
    for one in (exact, faded):
        one.cut(64)
    assert exact.difference(pixels) is None
    share = faded.difference(pixels)
    assert share is not None
    assert 0 < share < 0.5
    assert faded.difference(pixels[:20, :20]) is None
