"""Many pictures as a stream: in order, each broken one told, no more of them in memory than was said."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers import write_image
from masksmith import images
from masksmith.classes import ClassTable, make_entries
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import DataError
from masksmith.images import Picture
from masksmith.images.video import Frame, Video, frames
from masksmith.inference import stream
from masksmith.inference.prediction import Prediction
from masksmith.inference.segmenter import Segmenter
from masksmith.inference.stream import segment_many
from masksmith.inference.team import Team
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe

ARGUMENTS = {"in_channels": 3, "num_classes": 2, "depth": 2, "width": 4}


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    seen = Preprocessing(3, "uint8", (100.0,) * 3, (50.0,) * 3)
    table = ClassTable(make_entries(["no", "yes"]))
    model = ModelFile(ARGUMENTS, table, seen, Recipe(), UNet(**ARGUMENTS).state_dict())
    return Segmenter(model, device="cpu", precision="fp32")


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    return [
        write_image(tmp_path / f"{number}.png", rng.integers(0, 256, (9 + number, 8, 3), np.uint8))
        for number in range(7)
    ]


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_answers_are_those_of_segment_in_order(segmenter: Segmenter, paths: list[Path], ahead: int) -> None:
    found = list(segment_many(segmenter, map(str, paths), ahead=ahead))
    assert [path for path, _ in found] == paths
    for path, answer in found:
        assert isinstance(answer, Prediction)
        alone = segmenter.segment(path)
        np.testing.assert_array_equal(answer.probabilities_KHW, alone.probabilities_KHW)
        np.testing.assert_array_equal(answer.pixels_HWC, alone.pixels_HWC)
        assert answer.source == path
        assert (answer.georeference, answer.valid_HW) == (alone.georeference, alone.valid_HW) == (None, None)


def test_a_team_answers_for_several_at_a_time_in_order(paths: list[Path], segmenter: Segmenter) -> None:
    """Each member waits until the other has a picture too: they must be at work together."""
    met = threading.Barrier(2, timeout=60)

    class Meeting(Segmenter):
        def segment_picture(self, picture: Picture, source: Path | None = None) -> Prediction:
            met.wait()
            return super().segment_picture(picture, source)

    team = Team([Meeting(segmenter.model, device="cpu", precision="fp32") for _ in range(2)])
    found = list(team.segment_many(paths[:6]))
    assert [path for path, _ in found] == paths[:6]
    for path, answer in found:
        assert isinstance(answer, Prediction)
        np.testing.assert_array_equal(answer.probabilities_KHW, segmenter.segment(path).probabilities_KHW)


def test_a_broken_picture_of_a_team_is_an_answer_too(paths: list[Path], segmenter: Segmenter) -> None:
    paths[1].write_bytes(b"")
    answers = [answer for _, answer in Team([segmenter, segmenter]).segment_many(paths)]
    assert [isinstance(answer, Prediction) for answer in answers] == [True, False, *[True] * 5]


def test_place_and_validity_come_along(segmenter: Segmenter, tmp_path: Path) -> None:
    pixels = np.full((5, 4, 4), 255, np.uint8)
    pixels[:2, ..., 3] = 0
    path = write_image(tmp_path / "p.png", pixels)
    path.with_suffix(".pgw").write_text("2\n0\n0\n-2\n100\n200\n")
    [(_, answer)] = segment_many(segmenter, [path])
    assert isinstance(answer, Prediction)
    assert answer.georeference is not None
    assert answer.georeference.transform == (2, 0, 99, 0, -2, 201)
    assert answer.valid_HW is not None
    assert answer.valid_HW[:, 0].tolist() == [False, False, True, True, True]


def test_a_broken_picture_is_an_answer(segmenter: Segmenter, paths: list[Path]) -> None:
    paths[1].write_bytes(paths[1].read_bytes()[:60])
    write_image(paths[3].with_suffix(".tif"), np.zeros((4, 5, 7), np.uint8))
    asked = [
        paths[0],
        paths[1],
        paths[3].with_suffix(".tif"),
        paths[2].with_name("none.png"),
        Path("x" * 5000),
        paths[4],
    ]
    answers = [answer for _, answer in segment_many(segmenter, asked)]
    assert [isinstance(answer, Prediction) for answer in answers] == [True, *[False] * 4, True]
    words = ("truncated", "3 channels", "no such file", "file name too long")
    for path, answer, said in zip(asked[1:5], answers[1:5], words, strict=True):
        assert isinstance(answer, DataError)
        assert str(answer).startswith(str(path))
        assert said in str(answer)


def test_nothing_is_asked_for_before_its_time(segmenter: Segmenter, paths: list[Path]) -> None:
    asked: list[int] = []

    def source() -> object:
        for number, path in enumerate(paths):
            asked.append(number)
            yield path

    answers = segment_many(segmenter, source(), ahead=2)  # type: ignore[arg-type]
    next(answers)
    assert asked == [0, 1]
    next(answers)
    assert asked == [0, 1, 2]
    answers.close()  # type: ignore[attr-defined]
    assert asked == [0, 1, 2]


def test_the_next_is_read_while_the_network_works(
    segmenter: Segmenter, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    second = threading.Event()

    def noted(path: Path) -> images.Picture:
        read.append(path)
        if len(read) == 2:
            second.set()
        return images.reading.read(path)

    real = segmenter.probabilities

    def waiting(pixels_HWC: np.ndarray) -> np.ndarray:
        assert second.wait(20)  # would never be set if reading waited for the network
        return real(pixels_HWC)

    monkeypatch.setattr(stream.images, "read", noted)
    monkeypatch.setattr(segmenter, "probabilities", waiting)
    next(segment_many(segmenter, paths))
    assert sorted(read) == paths[:2]


def test_large_pictures_are_read_when_their_turn_has_come(
    segmenter: Segmenter, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def noted(path: Path) -> images.Picture:
        threads.append(threading.current_thread().name)
        return images.reading.read(path)

    monkeypatch.setattr(stream, "MAX_AHEAD_VALUES", 10)
    monkeypatch.setattr(stream.images, "read", noted)
    assert [isinstance(a, Prediction) for _, a in segment_many(segmenter, paths, ahead=4)] == [True] * len(paths)
    assert set(threads) == {threading.current_thread().name}  # none ahead, in a thread of its own
    assert len(threads) == len(paths)


def write_video(path: Path, count: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (48, 32))
    assert writer.isOpened()
    for number in range(count):
        writer.write(np.full((32, 48, 3), (0, 20 * number, 200), np.uint8))  # blue, green, red
    writer.release()
    return path


@pytest.mark.parametrize("ending", ["avi", "mkv", "mov"])
def test_frames_are_those_that_were_written(segmenter: Segmenter, tmp_path: Path, ending: str) -> None:
    path = write_video(tmp_path / f"film.{ending}", 10)
    assert [f.number for f in frames(path)] == list(range(10))
    asked = frames(path, every=3)
    assert [f.number for f in asked] == [0, 3, 6, 9]
    for frame, (source, answer) in zip(asked, segment_many(segmenter, asked, ahead=3), strict=True):
        assert source == path
        assert isinstance(answer, Prediction)
        red, green, blue = answer.pixels_HWC.reshape(-1, 3).mean(axis=0)
        assert abs(red - 200) < 8
        assert abs(green - 20 * frame.number) < 8
        assert blue < 8


def test_frames_out_of_order_are_found_too(segmenter: Segmenter, tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.avi", 4)
    greens = [a.pixels_HWC[..., 1].mean() for _, a in segment_many(segmenter, [Frame(path, 3), Frame(path, 1)])]  # type: ignore[union-attr]
    assert np.allclose(greens, [60, 20], atol=8)


def test_a_video_that_ends_too_early_is_told(segmenter: Segmenter, tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.avi", 40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    asked = frames(path)
    answers = [answer for _, answer in segment_many(segmenter, asked)]
    assert 5 < len(answers) < 30
    assert all(isinstance(answer, Prediction) for answer in answers[:-1])
    assert "of 40 frames" in str(answers[-1])


@pytest.mark.parametrize("content", [b"", b"#EXTM3U\nother.mp4\n", b"\0\0\0\x18ftypmp42"])
def test_what_is_no_video(tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match="a whole, readable video"):
        Video(path)
    assert capfd.readouterr().err == ""
