"""An ensemble answers with the mean of its members, each of which sees the picture its own way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import masksmith
from helpers import write_image
from masksmith import modelfile
from masksmith.classes import ClassTable, make_entries
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import DataError, RunError
from masksmith.inference import tiling
from masksmith.inference.ensemble import MARK, Ensemble
from masksmith.inference.segmenter import Segmenter
from masksmith.inference.tiler import part_of, whole
from masksmith.inference.tiling import Tiling
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe

NAMES = ("sky", "tree", "car")


def model(
    seed: int = 0, *, names: tuple[str, ...] = NAMES, dtype: str = "uint8", channels: int = 3, **network: object
) -> ModelFile:
    arguments = {"in_channels": channels, "num_classes": len(names), "depth": 2, "width": 4, **network}
    torch.manual_seed(seed)
    weights = UNet(**arguments).state_dict()  # type: ignore[arg-type]
    seen = Preprocessing(channels, dtype, (100.0 + 20 * seed,) * channels, (50.0 + 5 * seed,) * channels)
    return ModelFile(arguments, ClassTable(make_entries(list(names))), seen, Recipe(), weights)


def member(seed: int = 0, **options: object) -> Segmenter:
    return Segmenter(model(seed, **options), device="cpu", precision="fp32")  # type: ignore[arg-type]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def write_folds(folder: Path, count: int, missing: int = 0) -> Path:
    for number in range(count - missing):
        modelfile.write(folder / f"fold-{number}" / "model.safetensors", model(number))
        (folder / f"fold-{number}" / "state.safetensors").touch()
        (folder / f"fold-{number}" / "NEXT.md").touch()
    (folder / MARK).write_text(f'{{"folds": {count}}}')
    return folder


def test_the_mean_of_the_members() -> None:
    pixels, members = noise(31, 22, 3), [member(n) for n in range(3)]
    alone = [m.segment(pixels).probabilities_KHW for m in members]
    kept = [a.copy() for a in alone]
    found = Ensemble(members).segment(pixels)
    np.testing.assert_allclose(found.probabilities_KHW, np.mean(alone, axis=0), atol=1e-6)
    np.testing.assert_array_equal(found.mask_HW, np.mean(alone, axis=0).argmax(axis=0))
    np.testing.assert_allclose(found.probabilities_KHW.sum(axis=0), 1, atol=1e-5)
    assert found.probabilities_KHW.dtype == np.float32
    for before, after in zip(kept, alone, strict=True):
        np.testing.assert_array_equal(before, after)


def test_one_member_answers_as_it_does_alone() -> None:
    pixels = noise(20, 40, 3)
    np.testing.assert_array_equal(
        Ensemble([member(1)]).segment(pixels).probabilities_KHW, member(1).segment(pixels).probabilities_KHW
    )


def test_it_can_do_what_a_segmenter_can(tmp_path: Path) -> None:
    ours, pixels = Ensemble([member(0), member(1)]), noise(31, 22, 3)
    path = write_image(tmp_path / "p.png", pixels)
    by_path = ours.segment(path)
    np.testing.assert_array_equal(by_path.mask_HW, ours.segment(pixels).mask_HW)
    assert by_path.source == path
    assert (ours.device, ours.precision, ours.tile_px) == (torch.device("cpu"), "fp32", ours.members[0].tile_px)
    public = {name for name in dir(Segmenter) if not name.startswith("_")} - {"take"}  # of one network alone
    assert public <= set(dir(ours))
    assert vars(member()).keys() - {"network", "tiling", "quantized", "_answer", "_model"} <= set(dir(ours))
    with pytest.raises(DataError, match="expected 3 channels"):
        ours.segment(noise(8, 8, 2))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"names": ("sky", "tree", "boat")}, r"same classes \(sky, tree, car\), received one with sky, tree, boat"),
        ({"names": ("sky", "tree")}, "same classes"),
        ({"names": ("tree", "sky", "car")}, "same classes"),
        ({"dtype": "uint16"}, "pictures of 3 channels of uint8, received one for 3 of uint16"),
        ({"channels": 1}, "received one for 1 of uint8"),
    ],
)
def test_members_must_agree(other: dict[str, object], said: str) -> None:
    with pytest.raises(RunError, match=said):
        Ensemble([member(0), member(1, **other)])


def test_overlapping_and_other_classes_do_not_mix() -> None:
    plain = model(0)
    layered = replace(plain, table=replace(plain.table, overlapping=True))
    with pytest.raises(RunError, match="classes that overlap"):
        Ensemble([Segmenter(plain, device="cpu"), Segmenter(layered, device="cpu")])


def test_none_is_an_error() -> None:
    with pytest.raises(RunError, match="one network or more"):
        Ensemble([])


def test_load_decides_by_what_lies_in_the_folder(tmp_path: Path) -> None:
    folder = write_folds(tmp_path / "folds", 2)
    found = masksmith.load(folder, device="cpu", precision="fp32")
    assert isinstance(found, Ensemble)
    pixels = noise(24, 24, 3)
    alone = [masksmith.load(folder / f"fold-{n}", device="cpu", precision="fp32") for n in range(2)]
    assert all(isinstance(one, Segmenter) for one in alone)
    wanted = np.mean([one.segment(pixels).probabilities_KHW for one in alone], axis=0)
    np.testing.assert_allclose(found.segment(pixels).probabilities_KHW, wanted, atol=1e-6)


def test_several_runs_and_folds_answer_as_one(tmp_path: Path) -> None:
    folder, pixels = write_folds(tmp_path / "folds", 3), noise(24, 24, 3)
    runs = [folder / f"fold-{n}" for n in range(3)]
    found = masksmith.load(runs, device="cpu", precision="fp32")
    assert isinstance(found, Ensemble)
    all_folds = masksmith.load(folder, device="cpu", precision="fp32").segment(pixels).probabilities_KHW
    np.testing.assert_array_equal(found.segment(pixels).probabilities_KHW, all_folds)
    more = masksmith.load([runs[0], folder], device="cpu", precision="fp32")
    assert isinstance(more, Ensemble)
    assert len(more.members) == 4


def test_folds_that_are_not_all_there(tmp_path: Path) -> None:
    folder = write_folds(tmp_path / "folds", 3, missing=1)
    with pytest.raises(RunError, match="expected 3 trained folds, received 2; finish them"):
        masksmith.load(folder)


def test_a_fold_that_is_still_trained_is_not_there_and_one_too_many_does_not_stand_for_it(tmp_path: Path) -> None:
    folder = write_folds(tmp_path / "folds", 4)
    (folder / MARK).write_text('{"folds": 3}')
    (folder / "fold-2" / "NEXT.md").unlink()  # as from its first validation on
    with pytest.raises(RunError, match="expected 3 trained folds, received 2; finish them"):
        masksmith.load(folder)


def test_models_alone_are_enough(tmp_path: Path) -> None:
    folder = write_folds(tmp_path / "folds", 2)
    for name in ("state.safetensors", "NEXT.md"):
        for path in folder.glob(f"fold-*/{name}"):
            path.unlink()
    assert len(masksmith.load(folder, device="cpu").members) == 2


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    folder = write_folds(tmp_path / "folds", 2)
    (folder / "fold-1" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(RunError, match=r"fold-1.model\.safetensors"):
        masksmith.load(folder)


def test_members_that_cut_differently_are_cut_alike() -> None:
    """The mean of tiled answers equals the mean of whole ones, whatever the strides and widths."""
    pixels = noise(300, 170, 3)
    members = [member(0), member(1)]
    whole = Ensemble(members).probabilities(pixels)
    for one, cut in zip(members, (Tiling(96, 48), Tiling(64, 64)), strict=True):
        one.tiling = cut
    tiled = Ensemble(members)
    assert len(list(tiled.blocks((300, 170), part_of(pixels)))) > 6
    np.testing.assert_allclose(tiled.probabilities(pixels), whole, rtol=0, atol=1e-5)


def test_a_network_without_padding_is_cut_as_one_that_fades() -> None:
    pixels, size = noise(300, 170, 3), (300, 170)
    members = [member(0, padding="valid", depth=3), member(1, norm="group")]
    exact = members[0].probabilities(pixels)
    for one in members:
        one.cut(64)
    cuts = tiling.common([m.network for m in members], [m.tiling for m in members])
    assert all(cut.blend for cut in cuts)
    alone = [whole(size, m.blocks(size, part_of(pixels), cut=cut)) for m, cut in zip(members, cuts, strict=True)]
    np.testing.assert_allclose(alone[0], exact, rtol=0, atol=1e-5)  # which fading does not change
    np.testing.assert_allclose(Ensemble(members).probabilities(pixels), np.mean(alone, axis=0), rtol=0, atol=1e-5)
