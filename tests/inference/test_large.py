"""Pins down large pictures: the mask in parts is the mask as a whole, in its place, and killed work goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
import torch
from rasterio.transform import Affine

from masksmith import images
from masksmith.classes import ClassTable, make_entries
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import DataError, EnvironmentFault, InputError
from masksmith.inference.large import segment_large
from masksmith.inference.prediction import Prediction
from masksmith.inference.segmenter import Segmenter
from masksmith.inference.tiling import Tiling
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe

PLACE = Affine(0.5, 0, 500_000, 0, -0.5, 4_100_000)


def segmenter(**options: object) -> Segmenter:
    arguments = {"in_channels": 3, "num_classes": 3, "depth": 3, "width": 4, "norm": None} | options
    torch.manual_seed(0)
    network = UNet(**arguments)  # type: ignore[arg-type]
    for p in network.parameters():
        if p.ndim > 1:
            torch.nn.init.kaiming_uniform_(p, nonlinearity="relu")
    seen = Preprocessing(3, "uint8", (120.0,) * 3, (60.0,) * 3)
    model = ModelFile(arguments, ClassTable(make_entries(["a", "b", "c"])), seen, Recipe(), network.state_dict())
    made = Segmenter(model, device="cpu", precision="fp32")
    made.tiling = Tiling(32, 24) if options.get("norm") is None else Tiling(64, 16, blend=True)
    return made


def noise(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def geotiff(path: Path, pixels: np.ndarray, nodata: int | None = None, **options: object) -> Path:
    height, width, channels = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=channels, dtype=pixels.dtype,
        crs="EPSG:32633", transform=PLACE, nodata=nodata, **options,
    ) as file:  # fmt: skip
        file.write(pixels.transpose(2, 0, 1))
    return path


@pytest.mark.parametrize("options", [{}, {"tiled": True, "blockxsize": 32, "blockysize": 48}], ids=["strips", "tiles"])
@pytest.mark.parametrize("norm", [None, "instance"])
def test_in_parts_as_in_memory_and_in_its_place(tmp_path: Path, options: dict[str, object], norm: str | None) -> None:
    pixels, made = noise(150, 170), segmenter(norm=norm)
    path = geotiff(tmp_path / "p.tif", pixels, **options)
    told: list[int] = []
    shares = segment_large(made, path, tmp_path / "m.tif", progress=lambda done, total: told.append(done))
    expected = made.segment(pixels)
    with rasterio.open(tmp_path / "m.tif") as file:
        np.testing.assert_array_equal(file.read(1), expected.mask_HW)
        assert (file.crs.to_epsg(), file.transform, file.nodata) == (32633, PLACE, 255)
        assert file.profile["tiled"]
        assert file.colormap(1)[1][:3] == made.model.table.classes[1].color
    assert len(set(expected.mask_HW.ravel())) == 3
    assert shares == pytest.approx(expected.shares())
    assert told == sorted(told)
    assert told[-1] == 150
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_what_the_picture_says_is_nothing_is_nothing_in_the_mask(tmp_path: Path) -> None:
    pixels = noise(90, 80)
    pixels[20:50, 40:80] = 7
    path = geotiff(tmp_path / "p.tif", pixels, nodata=7)
    expected = images.read(path).valid_HW
    assert expected is not None
    shares = segment_large(segmenter(), path, tmp_path / "m.tif")
    mask = tifffile.imread(tmp_path / "m.tif")
    np.testing.assert_array_equal(mask == 255, ~expected)
    assert sum(shares.values()) == pytest.approx(1)


def test_what_is_nothing_is_the_mean_to_the_network_however_the_picture_is_read(tmp_path: Path) -> None:
    pixels, made = noise(90, 80), segmenter()
    pixels[20:50, 40:80] = 7
    path = geotiff(tmp_path / "p.tif", pixels, nodata=7)
    valid = images.read(path).valid_HW
    assert valid is not None
    wanted = made.segment(np.where(valid[..., None], pixels, np.uint8(120)))  # the mean of the training
    assert np.abs(wanted.probabilities_KHW - made.segment(pixels).probabilities_KHW)[:, valid].max() > 0.001
    for found in (made.segment(path), next(made.segment_many([path]))[1]):
        assert isinstance(found, Prediction)
        np.testing.assert_array_equal(found.probabilities_KHW, wanted.probabilities_KHW)
        np.testing.assert_array_equal(found.pixels_HWC, pixels)
    segment_large(made, path, tmp_path / "m.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.tif")[valid], wanted.mask_HW[valid])


@pytest.mark.parametrize("norm", [None, "instance"])
def test_killed_work_goes_on_behind_the_last_finished_row(tmp_path: Path, norm: str | None) -> None:
    pixels, made = noise(300, 60), segmenter(norm=norm)
    path = geotiff(tmp_path / "p.tif", pixels)
    segment_large(made, path, tmp_path / "whole.tif")
    count = 0

    def dies(done: int, total: int) -> None:
        nonlocal count
        count += 1
        if done >= 150:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_large(made, path, tmp_path / "m.tif", progress=dies)
    assert not (tmp_path / "m.tif").exists()
    told: list[int] = []
    segment_large(made, path, tmp_path / "m.tif", progress=lambda done, total: told.append(done))
    assert told[0] >= 100
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.tif"), tifffile.imread(tmp_path / "whole.tif"))


def test_a_name_as_long_as_may_be_has_room_for_what_is_unfinished(tmp_path: Path) -> None:
    path, made = geotiff(tmp_path / "p.tif", noise(300, 60)), segmenter()
    out = tmp_path / "out" / f"{'n' * 251}.tif"

    def dies(done: int, total: int) -> None:
        if done >= 150:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_large(made, path, out, progress=dies)
    told: list[int] = []
    segment_large(made, path, out, progress=lambda done, total: told.append(done))
    assert told[0] >= 100
    assert list(out.parent.iterdir()) == [out]


def test_killed_while_the_result_is_written_it_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, made = noise(300, 60), segmenter()
    path = geotiff(tmp_path / "p.tif", pixels)

    def full(*words: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(images, "write_bands", full)
        with pytest.raises(EnvironmentFault, match="no space left on device"):
            segment_large(made, path, tmp_path / "m.tif")
    assert not (tmp_path / "m.tif").exists()
    told: list[int] = []
    segment_large(made, path, tmp_path / "m.tif", progress=lambda done, total: told.append(done))
    assert told == [300]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.tif"), made.segment(pixels).mask_HW)


def test_work_of_another_picture_or_network_is_not_gone_on_with(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "p.tif", noise(300, 60))

    def dies(done: int, total: int) -> None:
        if done >= 150:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_large(segmenter(), path, tmp_path / "m.tif", progress=dies)
    geotiff(path, noise(300, 60)[::-1].copy())
    told: list[int] = []
    segment_large(segmenter(), path, tmp_path / "m.tif", progress=lambda done, total: told.append(done))
    assert told[0] == 0


def test_a_picture_without_a_place_gives_a_mask_without_one(tmp_path: Path) -> None:
    pixels, made = noise(40, 50), segmenter()
    np.save(tmp_path / "p.npy", pixels)
    segment_large(made, tmp_path / "p.npy", tmp_path / "m.tif")
    assert images.georeference(tmp_path / "m.tif") is None
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.tif"), made.segment(pixels).mask_HW)


def test_a_world_file_gives_the_place(tmp_path: Path) -> None:
    pixels = noise(40, 50)
    (tmp_path / "p.png").write_bytes(images.encode_png(pixels))
    (tmp_path / "p.pgw").write_text("0.5\n0\n0\n-0.5\n100.25\n199.75\n")
    segment_large(segmenter(), tmp_path / "p.png", tmp_path / "m.tif")
    place = images.georeference(tmp_path / "m.tif")
    assert place is not None
    assert place.transform == (0.5, 0, 100, 0, -0.5, 200)


@pytest.mark.parametrize("crs", ["EPSG:32633", "+proj=lcc +lat_1=47 +lat_2=49 +lat_0=48 +lon_0=13.7 +ellps=bessel"])
@pytest.mark.parametrize("meaning", ["Area", "Point"])
def test_any_coordinate_system_and_turned_pixels_are_kept(tmp_path: Path, crs: str, meaning: str) -> None:
    turned = Affine(0.5, 0.1, 500_000, 0.2, -0.5, 4_100_000)
    path, pixels = tmp_path / "p.tif", noise(20, 30)
    with rasterio.open(
        path, "w", driver="GTiff", height=20, width=30, count=3, dtype="uint8", crs=crs, transform=turned
    ) as file:
        file.write(pixels.transpose(2, 0, 1))
        file.update_tags(AREA_OR_POINT=meaning)
    segment_large(segmenter(), path, tmp_path / "m.tif")
    with rasterio.open(path) as source, rasterio.open(tmp_path / "m.tif") as mask:
        assert (mask.crs, mask.transform) == (source.crs, source.transform)


def test_a_picture_in_zarr(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    pixels, made, path = noise(90, 70), segmenter(), tmp_path / "p.zarr"
    zarr.open_array(str(path), mode="w", shape=(3, 90, 70), dtype="uint8", chunks=(1, 32, 32))[...] = pixels.transpose(
        2, 0, 1
    )
    segment_large(made, path, tmp_path / "m.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.tif"), made.segment(pixels).mask_HW)
    np.testing.assert_array_equal(made.segment(path).mask_HW, made.segment(pixels).mask_HW)


def test_what_it_refuses(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "p.tif", noise(40, 50))
    with pytest.raises(InputError, match=r"expected a name that ends in .tif"):
        segment_large(segmenter(), path, tmp_path / "m.png")
    (tmp_path / "m.tif").write_bytes(b"mine")
    with pytest.raises(InputError, match="expected no file of that name"):
        segment_large(segmenter(), path, tmp_path / "m.tif")
    gray = geotiff(tmp_path / "g.tif", noise(40, 50)[..., :2])
    with pytest.raises(DataError, match="expected 3 channels"):
        segment_large(segmenter(), gray, tmp_path / "n.tif")
    assert (tmp_path / "m.tif").read_bytes() == b"mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.tif", "m.tif", "p.tif"]
