"""``masksmith predict`` on many pictures: which, what is told of broken ones, going on, parts, videos."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import masksmith
from helpers import draw_pair, write_image, write_set
from masksmith import files, images
from masksmith.classes import ClassTable, make_entries
from masksmith.cli import main, show, targets, writing
from masksmith.errors import DataError, EnvironmentFault
from masksmith.inference import pictures as choosing
from masksmith.inference.prediction import Prediction
from masksmith.outputs import Shaping, render

TINY = ["crop=32", "batch_size=2", "model.width=4", "model.depth=3", "device=cpu"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = write_set(tmp_path_factory.mktemp("data") / "set")
    (data / "classes.csv").write_text("name,r,g,b\nground,0,0,0\nhouse,230,60,30\n")
    folder = tmp_path_factory.mktemp("runs") / "first"
    assert main(["train", str(data), "-o", str(folder), "--steps", "30", "-q", *TINY]) == 0
    return folder


def pictures(folder: Path, count: int, size: tuple[int, int] = (24, 20)) -> list[Path]:
    rng = np.random.default_rng(0)
    return [write_image(folder / f"{number:02}.png", draw_pair(size, (0, 1), 3, rng)[0]) for number in range(count)]


def masks(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*_mask.png"))


def called(folder: Path, name: str) -> list[str]:
    """The pictures in a file about all of them."""
    text = (folder / name).read_text()
    if name.endswith(".json"):
        return [image["file_name"] for image in json.loads(text)["images"]]
    return [row.partition(",")[0] for row in text.splitlines()[1:]]


def told(capfd: Capture) -> list[str]:
    lines = capfd.readouterr().err.splitlines()
    assert all(line.startswith("masksmith: ") and line.endswith(".") for line in lines), lines
    return lines


def forbidden(path: Path) -> None:
    """A file that may not be read; for the administrator, who may read all, one that is not there."""
    if os.geteuid():
        path.chmod(0)
        return
    path.unlink()
    path.symlink_to("nowhere.png")


def no_pixels(path: Path) -> None:
    path.unlink()
    np.save(path.with_suffix(".npy"), np.zeros((0, 5, 3), np.uint8))


BROKEN: dict[str, Callable[[Path], object]] = {
    "03": lambda path: path.write_bytes(path.read_bytes()[:90]),
    "07": lambda path: path.write_bytes(b""),
    "11": lambda path: path.write_text("<html><body>404</body></html>"),
    "16": lambda path: path.unlink() or write_image(path.with_suffix(".tif"), np.zeros((20, 20, 5), np.uint8)),
    "21": forbidden,
    "29": no_pixels,
}  # fmt: skip


def test_24_of_30_pictures(run: Path, tmp_path: Path, capfd: Capture) -> None:
    for path in pictures(tmp_path / "in", 30):
        BROKEN.get(path.stem, lambda _: None)(path)
    words = ["predict", str(run), str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--save", "mask,overlay"]
    capfd.readouterr()
    assert main(words) == 5
    out, error = capfd.readouterr()
    sentences = error.splitlines()
    assert len(sentences) == 6
    for stem, said, sentence in zip(
        BROKEN,
        ["truncated", "an empty file", "broken", "3 channels", "", "with pixels"],
        sentences,
        strict=True,
    ):
        assert re.match(rf"masksmith: {tmp_path}/in/{stem}\.\w+: expected ", sentence)
        assert said in sentence
    left = [f"{number:02}" for number in range(30) if f"{number:02}" not in BROKEN]
    assert masks(tmp_path / "out") == [f"{stem}_mask.png" for stem in left]
    assert len(list((tmp_path / "out").iterdir())) == 48
    assert "24 pictures: *_mask.png, *_overlay.png" in out


def test_all_broken_is_5_too(run: Path, tmp_path: Path, capfd: Capture) -> None:
    for path in pictures(tmp_path / "in", 2):
        path.write_bytes(b"x")
    assert main(["predict", str(run), str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 5
    assert len(told(capfd)) == 2
    assert list((tmp_path / "out").iterdir()) == []


def test_a_picture_that_one_output_is_not_made_for(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    def rendering(word: str, prediction: Prediction, shaping: Shaping) -> dict[str, bytes]:
        if word == "overlay" and prediction.source == tmp_path / "in" / "01.png":
            raise DataError(where=prediction.source, expected="x", received="y", remedy="z")
        return render(word, prediction, shaping)

    pictures(tmp_path / "in", 3)
    monkeypatch.setattr(writing, "render", rendering)
    capfd.readouterr()
    words = ["predict", str(run), str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--save", "mask,overlay,shares"]
    assert main(words) == 5
    assert told(capfd) == [f"masksmith: {tmp_path}/in/01.png: expected x, received y; z."]
    assert masks(tmp_path / "out") == ["00_mask.png", "02_mask.png"]
    assert "01" not in (tmp_path / "out" / "shares.csv").read_text()


def test_names_with_spaces_from_a_list_and_from_a_pipe(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    for path, name in zip(pictures(tmp_path, 3), ("a b.png", "new\nline.png", "c.png"), strict=True):
        path.rename(tmp_path / name)
    Path("list.txt").write_text("a b.png\nc.png\nlost.png\n")
    assert main(["predict", str(run), "@list.txt", "-o", "out"]) == 5
    assert "lost.png: expected a picture, received no such file" in told(capfd)[0]
    assert masks(tmp_path / "out") == ["a b_mask.png", "c_mask.png"]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"new\nline.png\0a b.png\0")))
    assert main(["predict", str(run), "-", "-o", "two"]) == 0
    assert masks(tmp_path / "two") == ["a b_mask.png", "new\nline_mask.png"]
    assert "new?line.png" in capfd.readouterr().out


def test_a_tree_is_kept(run: Path, tmp_path: Path) -> None:
    pictures(tmp_path / "in" / "x" / "deep", 1)
    pictures(tmp_path / "in" / "y", 1)
    words = ["predict", str(run), str(tmp_path / "in"), "--recursive", "-o", str(tmp_path / "in" / "out"), "-q"]
    assert main([*words, "--save", "mask"]) == 0
    assert masks(tmp_path / "in" / "out") == ["x/deep/00_mask.png", "y/00_mask.png"]
    assert main([*words, "--save", "mask", "--overwrite"]) == 0  # its own results are no pictures
    assert len(masks(tmp_path / "in")) == 2


def test_only_what_is_missing(run: Path, tmp_path: Path, capfd: Capture) -> None:
    pictures(tmp_path / "in", 5)
    words = ["predict", str(run), str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    assert main(words) == 0
    whole = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    gone = [tmp_path / "out" / name for name in ("01_mask.png", "03_mask.png", "03_overlay.png")]
    for path in gone:
        path.unlink()
    before = {path: path.stat().st_mtime_ns for path in whole if path.exists()}
    capfd.readouterr()
    assert main(words) == 2
    assert "--skip-existing" in told(capfd)[0]
    assert main([*words, "--skip-existing"]) == 0
    out = capfd.readouterr().out
    assert "3 pictures left out" in out
    assert "1 file of the others stayed as they were" in out
    assert "2 pictures: *_mask.png, *_overlay.png in" in out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == whole
    assert main([*words, "--skip-existing"]) == 0
    assert main([*words, "--skip-existing", "--overwrite"]) == 2
    assert main([*words, "--skip-existing", "--save", "shares"]) == 2


def test_what_is_there_stays_as_it_is(run: Path, tmp_path: Path, capfd: Capture) -> None:
    pictures(tmp_path / "in", 3)
    out = tmp_path / "out"
    words = ["predict", str(run), str(tmp_path / "in"), "-o", str(out)]
    assert main([*words, "--save", "mask"]) == 0
    (out / "00_mask.png").write_bytes(b"corrected by hand")
    (out / "01_mask.png").unlink()
    (out / "01_mask.png").symlink_to(tmp_path / "unmounted" / "01_mask.png")
    capfd.readouterr()
    assert main([*words, "--save", "mask,overlay,instances", "--skip-existing"]) == 0
    said = capfd.readouterr().out
    assert "3 files of the others stayed as they were" in said
    assert "3 pictures: *_overlay.png, *_instances.tif, *_instances.csv in" in said
    assert (out / "00_mask.png").read_bytes() == b"corrected by hand"
    assert (out / "01_mask.png").is_symlink()
    (out / "02_instances.csv").unlink()
    (out / "02_instances.tif").write_bytes(b"renumbered by hand")
    assert main([*words, "--save", "instances", "--skip-existing"]) == 0
    assert (out / "02_instances.csv").is_file()
    assert (out / "02_instances.tif").read_bytes() == b"renumbered by hand"
    assert main([*words, "--save", "mask", "--skip-existing"]) == 0
    assert (out / "01_mask.png").is_symlink()


def test_parts_of_a_job_array(run: Path, tmp_path: Path, capfd: Capture) -> None:
    pictures(tmp_path / "in", 5)
    out = tmp_path / "out"
    for number, wanted in ((1, 2), (2, 2), (3, 1)):
        before = set(masks(out))
        words = ["predict", str(run), str(tmp_path / "in"), "-o", str(out), "--save", "mask,shares", "-q"]
        assert main([*words, "--shard", f"{number}/3"]) == 0
        assert len(set(masks(out)) - before) == wanted
    assert len(masks(out)) == 5
    tables = [out / f"shares-{number}-of-3.csv" for number in (1, 2, 3)]
    rows = [[row.partition(",")[0] for row in table.read_text().splitlines()[1:]] for table in tables]
    assert rows == [["00.png", "03.png"], ["01.png", "04.png"], ["02.png"]]
    assert main([*words[:-1], "--shard", "9/9"]) == 0
    assert "no pictures in this part" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shard", "0/3"], "--shard"),
        (["--shard", "4/3"], "1/8, 2/8"),
        (["--shard", "three"], '"three"'),
        (["--save", ""], "--save"),
        (["--save", "shapes"], 'did you mean "shares"'),
        (["--threshold", "hose=0.3"], 'did you mean "house"'),
        (["--threshold", "house=3"], "from 0 to 1"),
        (["--threshold", "house=nan"], "from 0 to 1"),
        (["--threshold", "house"], "house=0.3"),
        (["--instances", "watersheds"], 'did you mean "watershed"'),
        (["--simplify", "nan"], "--simplify"),
        (["--simplify", "-1"], "--simplify"),
        (["--every", "0"], "--every"),
    ],
)
def test_words_that_cannot_be_meant(run: Path, tmp_path: Path, words: list[str], said: str, capfd: Capture) -> None:
    pictures(tmp_path / "in", 1)
    assert main(["predict", str(run), str(tmp_path / "in"), "-o", str(tmp_path / "out"), *words]) == 2
    [sentence] = told(capfd)
    assert said in sentence
    assert not (tmp_path / "out").exists()


def test_thresholds_and_cleaning_reach_the_mask_and_the_table(run: Path, tmp_path: Path, capfd: Capture) -> None:
    path = pictures(tmp_path / "in", 1)[0]
    words = ["predict", str(run), str(path), "--save", "mask", "-q", "-o"]
    for name, more in {"never": ["--threshold", "house=1"], "small": ["--min-object", "9999"]}.items():
        capfd.readouterr()
        assert main([*words, str(tmp_path / name), *more]) == 0
        share = re.search(r"00\.png +[\d.]+ % +([\d.]+) %", capfd.readouterr().out)
        mask = cv2.imread(str(tmp_path / name / "00_mask.png"), cv2.IMREAD_GRAYSCALE) > 0
        assert share is not None
        assert float(share[1]) == pytest.approx(100 * mask.mean(), abs=0.06)
        assert name != "never" or mask.mean() == 0


def test_what_waits_to_be_written_is_counted_with_its_probabilities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MAX_WAITING_BYTES", 1000)
    table = ClassTable(make_entries(["ground", "house", "road"]))
    with writing.Writer(writing.Wanted(["mask"], tmp_path, table)) as writer:
        for name, side in (("large", 10), ("first", 6), ("second", 6)):
            mask = np.zeros((side, side), np.uint8)
            p, pixels = np.zeros((3, side, side), np.float32), np.zeros((side, side, 3), np.uint8)
            writer.put(choosing.Chosen(name, Path(f"{name}.png")), Prediction(mask, p, pixels, table))
            # 1,500 bytes alone are too many; 540 may wait, but not twice.
            done = {"large": "large", "second": "first"}.get(name)
            assert done is None or (tmp_path / f"{done}_mask.png").exists()


def test_a_video(run: Path, tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "film one.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (48, 32))
    for number in range(9):
        writer.write(np.full((32, 48, 3), 20 * number, np.uint8))
    writer.release()
    (tmp_path / "broken.mp4").write_text("<html>")
    words = ["predict", str(run), str(path), str(tmp_path / "broken.mp4"), "--every", "4", "-o", str(tmp_path / "out")]
    capfd.readouterr()
    assert main(words) == 5
    assert masks(tmp_path / "out") == [f"film one_{number:06}_mask.png" for number in (0, 4, 8)]
    assert cv2.imread(str(tmp_path / "out" / "film one_000004_mask.png")).shape[:2] == (32, 48)
    [sentence] = told(capfd)
    assert "broken.mp4: expected a whole, readable video" in sentence


def test_pictures_are_told_apart_in_files_about_all(run: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        pictures(tmp_path / "in" / folder, 1)
    film = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (48, 32))
    for number in range(2):
        film.write(np.full((32, 48, 3), 90 * number, np.uint8))
    film.release()
    for number, (words, expected) in enumerate(
        [
            ([tmp_path / "in" / "a" / "00.png"], ["00.png"]),
            ([tmp_path / "in", "--recursive"], ["a/00.png", "b/00.png"]),
            ([tmp_path / "in" / "a", tmp_path / "in" / "b"], ["a_00_png", "b_00_png"]),
            ([tmp_path / "film.avi"], ["film_000000", "film_000001"]),
        ]
    ):
        out = tmp_path / str(number)
        more = ["-o", str(out), "--save", "shares,coco,labelme", "--runtime", "torch", "-q"]
        assert main(["predict", str(run), *map(str, words), *more]) == 0
        assert called(out, "shares.csv") == called(out, "annotations.coco.json") == expected
    assert json.loads((out / "film_000001_labelme.json").read_text())["imagePath"] == "film_000001"


def test_names_that_the_disk_does_not_tell_apart(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    pixels = np.zeros((24, 20, 3), np.uint8)
    for name in ("IMG.png", "img.tif"):
        write_image(tmp_path / "in" / name, pixels)
    words = ["predict", str(run), str(tmp_path / "in"), "--save", "mask", "-q", "-o"]
    assert main([*words, str(tmp_path / "apart")]) == 0
    assert masks(tmp_path / "apart") == ["IMG_mask.png", "img_mask.png"]

    def is_taken(target: Path) -> bool:
        return target.name.casefold() in {path.name.casefold() for path in target.parent.iterdir()}

    (tmp_path / "one").mkdir()
    monkeypatch.setattr(targets, "is_taken", is_taken)
    capfd.readouterr()
    assert main([*words, str(tmp_path / "one")]) == 2
    assert "received IMG_mask.png too, which is the same name on this disk" in told(capfd)[0]
    assert not list((tmp_path / "one").iterdir())


def test_a_full_disk_ends_it_and_loses_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    pictures(tmp_path / "in", 20)
    real, written = files.write_bytes, []

    def write(path: Path, content: bytes) -> None:
        if len(written) >= 6:
            raise files.not_writable(path, OSError(28, "No space left on device"))
        real(path, content)
        written.append(path)

    monkeypatch.setattr(files, "write_bytes", write)
    words = ["predict", str(run), str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--save", "mask"]
    capfd.readouterr()
    assert main(words) == EnvironmentFault.exit_code
    out, error = capfd.readouterr()
    assert "no space left on device" in error
    assert error.count("\n") == 1
    assert "--skip-existing" in out
    monkeypatch.undo()
    assert sorted((tmp_path / "out").iterdir()) == sorted(written)
    assert main([*words, "--skip-existing"]) == 0
    assert len(masks(tmp_path / "out")) == 20


def test_a_stop_leaves_a_table_of_what_is_done(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    pictures(tmp_path / "in", 9)
    asked = iter([False] * 5)
    monkeypatch.setattr(show.Show, "wants_stop", lambda _: next(asked, True))
    words = ["predict", str(run), str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--save", "mask,shares,coco"]
    capfd.readouterr()
    assert main(words) == 130
    monkeypatch.undo()
    out, error = capfd.readouterr()
    assert error == "masksmith: interrupted.\n"
    assert "until here are in shares-unfinished.csv and annotations.coco-unfinished.json." in out
    done = [name.replace("_mask", "") for name in masks(tmp_path / "out")]
    assert done
    for name in ("shares-unfinished.csv", "annotations.coco-unfinished.json"):
        assert called(tmp_path / "out", name) == done
    for path in (tmp_path / "out").glob("*_mask.png"):
        path.unlink()
    assert main(words) == 2
    assert "shares-unfinished.csv: expected no file of that name" in told(capfd)[0]
    assert main([*words, "--overwrite"]) == 0
    assert len(called(tmp_path / "out", "shares.csv")) == 9
    assert not list((tmp_path / "out").glob("*unfinished*"))


def test_a_full_disk_leaves_a_table_of_what_is_done(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    pictures(tmp_path / "in", 9)
    real = files.write_bytes

    def write(path: Path, content: bytes) -> None:
        if path.name in {"05_mask.png", "annotations.coco-unfinished.json"}:
            raise files.not_writable(path, OSError(28, "No space left on device"))
        real(path, content)

    monkeypatch.setattr(files, "write_bytes", write)
    capfd.readouterr()
    words = ["predict", str(run), str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--save", "mask,coco,shares"]
    assert main(words) == EnvironmentFault.exit_code
    assert "05_mask.png: expected a place that can be written to" in told(capfd)[0]
    done = called(tmp_path / "out", "shares-unfinished.csv")
    assert done == [name.replace("_mask", "") for name in masks(tmp_path / "out")]
    assert len(done) >= 5


def test_an_interrupt_leaves_what_is_done(run: Path, tmp_path: Path) -> None:
    pictures(tmp_path / "in", 400, size=(200, 200))
    words = ["predict", str(run), str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--save", "mask"]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "masksmith", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while process.poll() is None and len(list(tmp_path.glob("out/*_mask.png"))) < 2:
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            out, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, error
    assert error == "masksmith: interrupted.\n"
    assert "--skip-existing goes on" in out
    done = list((tmp_path / "out").iterdir())
    assert 2 <= len(done) < 400
    assert all(cv2.imread(str(path)).shape == (200, 200, 3) for path in done)


def test_a_picture_larger_than_memory_gives_its_mask_alone(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3)).astype(np.uint8)
    write_image(tmp_path / "p" / "large.png", pixels)
    write_image(tmp_path / "p" / "small.png", pixels[:40, :40])
    monkeypatch.setattr(choosing, "MAX_WHOLE_PIXELS", 5000)
    assert main(["predict", str(run), str(tmp_path / "p"), "-o", str(tmp_path / "m")]) == 0
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == [
        "large_mask.tif",
        "small_mask.png",
        "small_overlay.png",
    ]
    expected = masksmith.load(run).segment(pixels).mask_HW
    np.testing.assert_array_equal(images.read(tmp_path / "m" / "large_mask.tif").indices_HW, expected)
    assert main(["predict", str(run), str(tmp_path / "p"), "-o", str(tmp_path / "m"), "--skip-existing"]) == 0


def test_a_picture_larger_than_memory_has_its_shares_in_the_table(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    write_image(tmp_path / "p" / "large.png", np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8))
    monkeypatch.setattr(choosing, "MAX_WHOLE_PIXELS", 5000)
    words = ["predict", str(run), str(tmp_path / "p"), "--save", "mask,shares,coco", "-o"]
    capfd.readouterr()
    assert main([*words, str(tmp_path / "one")]) == 0
    out = capfd.readouterr().out
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["large_mask.tif", "shares.csv"]
    assert "large.png is left out of coco" in out
    assert f"1 picture: *_mask.tif, shares.csv in {tmp_path / 'one'}" in out
    write_image(tmp_path / "p" / "small.png", np.zeros((40, 40, 3), np.uint8))
    assert main([*words, str(tmp_path / "two")]) == 0
    assert called(tmp_path / "two", "shares.csv") == ["small.png", "large.png"]
    assert called(tmp_path / "two", "annotations.coco.json") == ["small.png"]
    assert "2 pictures: *_mask.png, *_mask.tif, shares.csv, annotations.coco.json in" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--max-memory", "much"], "--max-memory much: expected a size such as 2GB"),
        (["--max-memory", "1MB"], "--max-memory 1MB: expected a size such as 2GB"),
        (["--tta", "mirrors"], 'tta: expected a set of views out of all, mirror, none, received "mirrors"'),
    ],
)
def test_options_that_say_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    write_image(tmp_path / "p.png", np.zeros((20, 20, 3), np.uint8))
    assert main(["predict", str(run), str(tmp_path / "p.png"), "-o", str(tmp_path / "m"), *words]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_windows_and_views_change_little(run: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (150, 130, 3)).astype(np.uint8)
    write_image(tmp_path / "p.png", pixels)
    found = {}
    for name, words in {
        "whole": [],
        "tiles": ["--tile", "64"],
        "faded": ["--tile", "64", "--overlap", "16"],
        "views": ["--tta", "all"],
        "memory": ["--max-memory", "8GB"],
    }.items():
        folder = tmp_path / name
        assert main(["predict", str(run), str(tmp_path / "p.png"), "-o", str(folder), *words, "--save", "npy"]) == 0
        found[name] = np.load(next(folder.glob("*.npy")))
    np.testing.assert_array_equal(found["tiles"], found["whole"])
    np.testing.assert_array_equal(found["memory"], found["whole"])
    for name in ("faded", "views"):
        assert (found[name] == found["whole"]).mean() > 0.5
