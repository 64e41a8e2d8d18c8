"""Bad input: one sentence on standard error, the right exit code, nothing half-written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers import check_without, write_set
from masksmith.cli import main

TINY = ["--steps", "1", "crop=32", "batch_size=2", "model.width=4", "model.depth=2", "device=cpu"]


def first_mask(data: Path) -> Path:
    return min((data / "train" / "masks").iterdir())


def empty(data: Path) -> None:
    for path in (data / "train" / "images").iterdir():
        path.unlink()


def other_size(data: Path) -> None:
    cv2.imwrite(str(first_mask(data)), np.zeros((7, 9), np.uint8))


def unknown_value(data: Path) -> None:
    (data / "classes.csv").write_text("name,r,g,b\nground,0,0,0\nhouse,255,0,0\n")
    cv2.imwrite(str(first_mask(data)), np.full((40, 48), 9, np.uint8))


def truncated(data: Path) -> None:
    picture = min((data / "train" / "images").iterdir())
    picture.write_bytes(picture.read_bytes()[:300])


def lossy(data: Path) -> None:
    rng = np.random.default_rng(0)
    for path in list((data / "train" / "masks").iterdir()):
        path.unlink()
        noisy = cv2.GaussianBlur((rng.random((40, 48)) > 0.5).astype(np.uint8) * 255, (0, 0), 2)
        cv2.imwrite(str(path.with_suffix(".jpg")), noisy)


FAULTS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "empty folder": (empty, ["train/images", "an empty folder", "PNG or TIFF"]),
    "sizes differ": (other_size, ["48×40", "9×7", "export the mask"]),
    "mask missing": (lambda data: first_mask(data).unlink(), ["1 of 3 without one", "train_00", "--skip-unmatched"]),
    "unknown mask value": (unknown_value, ["train_00.png", "value 9 in 1920 pixels", "--ignore 9"]),
    "truncated picture": (truncated, ["train_00.png", "broken or truncated"]),
    "zero classes": (lambda data: (data / "classes.csv").write_text("name,r,g,b\n"), ["classes.csv", "zero classes"]),
    "one value only": (
        lambda data: [cv2.imwrite(str(p), np.zeros((40, 48), np.uint8)) for p in data.glob("*/masks/*")],
        ["two or more classes", "the value 0 alone in all masks"],
    ),
    "two masks for a name": (
        lambda data: first_mask(data).with_suffix(".bmp").write_bytes(b"x"),
        ["train_00.bmp, train_00.png", "remove or rename"],
    ),
    "JPEG masks": (lossy, ["patches", "JPEG", "PNG", "--snap"]),
    "wrong columns": (lambda data: (data / "classes.csv").write_text("label,red\na,1\n"), ["name,r,g,b", "label, red"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_the_data(fault: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path / "data")
    spoil, words = FAULTS[fault]
    spoil(data)
    assert main(["train", str(data), "-o", str(tmp_path / "run"), *TINY]) == 2
    sentence = only_sentence(capfd)
    for word in words:
        assert word in sentence
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (["train", "nowhere", "-o", "run"], 2, ["nowhere", "no such folder"]),
        (["train", "data"], 2, ["-o/--output", "-o runs/first"]),
        (["train", "data", "-o", "run", "model.preset=clasic"], 2, ["clasic", 'did you mean "classic"']),
        (["train", "data", "-o", "run", "loss=ce+dise"], 2, ["dise", 'did you mean "dice"']),
        (["train", "data", "-o", "run", "model.dept=3"], 2, ["model.dept", 'did you mean "model.depth"']),
        (["train", "data", "-o", "run", "lr=fast"], 2, ["lr", "fast"]),
        (["train", "data", "-o", "run", "depth"], 2, ["key=value", '"depth"']),
        (["train", "data", "-o", "run", "--epochs", "3", "--steps", "4"], 2, ["one of budget, epochs and steps"]),
        (["train", "data", "-o", "run", "--budget", "soon"], 2, ["soon", "90s"]),
        (["train", "data", "-o", "run", "--overwite"], 2, ["--overwite", "--overwrite"]),
        (["train", "data", "-o", "data/classes.csv/run", *TINY], 2, ["a path that leads through a file"]),
        (["train", "data", "-o", "/proc/masksmith", *TINY], 3, ["/proc/masksmith", "can be written to"]),
        (["train", "data", "-o", "data"], 2, ["one that holds files"]),
        (["train", "data", "-o", "run", "device=cuda", *TINY[:-1]], 3, ["device=cuda", "cpu"]),
        (["train", "--images", "data/train/images", "-o", "run"], 2, ["both folders"]),
        (["train", "data", "-o", "run", "augment.callable=nowhere:f", *TINY], 2, ["nowhere:f", "module:name"]),
        (["train", "data", "-o", "run", "model.pretrained=true", *TINY], 2, ["pretrained", "resnet18"]),
        (["train", "data", "-o", "run", "--ignore", "house", "--ignore", "ground", *TINY], 2, ["class"]),
        (["train", "data", "-o", "run", "--resume"], 2, ["--resume", "the run alone"]),
        (["train", "data", "-o", "run", "--layout", "flatt"], 2, ["flatt", 'did you mean "flat"']),
        (["train", "data", "-o", "run", "--split", "none.csv"], 2, ["none.csv", "no such file"]),
        (["train", "data", "-o", "run", "--group-by", "["], 2, ["--group-by", "pattern"]),
        (["train", "data", "-o", "run", "--group-by", "^x"], 2, ["--group-by", "9 of 9 that do not"]),
        (["train", "data", "-o", "run", "data.folds=3", "data.fold=3"], 2, ["data.fold", "from 0 to 2"]),
        (["train", "data", "-o", "run", "data.folds=7", *TINY], 2, ["data.folds", "7 pictures", "received 6"]),
        (["train", "data", "-o", "run", "lr=1e-3", "lr=1e-2"], 2, ["lr: expected each key once", "lr=1e-3 and lr=1e-2"]),
        (["train", "data", "-o", "run", "epochs=5", "--epochs", "10"], 2, ["epochs", "5, and 10 as an option"]),
        (["train", "data", "-o", "run", "budget=+5m", "--budget", "9m"], 2, ["budget", "+5m, and 9m as an option"]),
        (["plan", "data.images=A", "--images", "B"], 2, ["data.images", "A, and B as an option"]),
        (["lr", "data", "data.snap=false", "--snap"], 2, ["data.snap", "once"]),
        (["folds", "data", "-o", "run", "budget=5m", "--budget", "9m"], 2, ["budget", "once"]),
        (["folds", "data", "-o", "run", "data.test_fraction=0.2"], 2, ["in place of", "data.test_fraction=0.2"]),
        (["train", "data", "-o", "run", "data.folds=3", "data.val_fraction=0.2"], 2, ["data.val_fraction=0.2"]),
        (["split", "data", "-o", "run", "--folds", "3", "--test", "0.15"], 2, ["in place of", "data.test_fraction=0.15"]),
        (["split", "data", "-o", "run", "--folds", "3", "--val", "0.2"], 2, ["in place of", "data.val_fraction=0.2"]),
        (["check", "typo", "--images", "data/train/images", "--masks", "data/train/masks"], 2, ["typo", "no such folder"]),
        (["split", "nowhere", "-o", "run"], 2, ["nowhere", "no such folder"]),
        (["split", "data", "-o", "data/classes.csv"], 2, ["classes.csv", "--overwrite"]),
        (["check", "data", "--report", "page.txt"], 2, ["--report", "page.txt"]),
        (["trian", "data"], 2, ["trian", 'did you mean "train"']),
        (["check", "empty"], 2, ["an empty folder"]),
        (["check", "data/classes.csv"], 2, ["a folder", "a file"]),
        (["evaluate", "data"], 2, ["run folder"]),
        (["evaluate", "nowhere"], 2, ["nowhere"]),
        (["predict", "nowhere", "data/classes.csv", "-o", "out"], 2, ["classes.csv", "ending"]),
        (["predict", "nowhere", "data/train/images", "-o", "out"], 2, ["nowhere"]),
        (["predict", "nowhere", "data/train/images"], 2, ["-o masks"]),
        (["predict", "nowhere", "data/train/images", "-o", "out", "--save", "maks"], 2, ["maks", 'did you mean "mask"']),
        (["shapes", "out", "--size", "3"], 2, ["32 to 8192"]),
        (["shapes", "out", "--classes", "1"], 2, ["2 to 13"]),
        (["shapes", "out", "--count", "0"], 2, ["3 pictures"]),
        (["shapes"], 2, ["OUT"]),
    ],
    ids=lambda value: " ".join(value[:6]) if isinstance(value, list) else None,
)  # fmt: skip
def test_faults_of_the_command(
    words: list[str],
    code: int,
    parts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if "device=cuda" in words:
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has what the test wants to be missing")
    monkeypatch.chdir(tmp_path)
    data = write_set(tmp_path / "data")
    (data / "classes.csv").write_text("name,r,g,b\nground,0,0,0\nhouse,255,0,0\n")
    (tmp_path / "empty").mkdir()
    assert main(words) == code
    sentence = only_sentence(capfd)
    for part in parts:
        assert part in sentence
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "empty"]


def only_sentence(capfd: pytest.CaptureFixture[str]) -> str:
    error = capfd.readouterr().err
    assert error.startswith("masksmith: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert error.rstrip().endswith((".", "?"))
    return error


def test_a_damaged_model_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path / "data")
    assert main(["train", str(data), "-o", str(tmp_path / "run"), "-q", *TINY]) == 0
    model = tmp_path / "run" / "model.safetensors"
    content = bytearray(model.read_bytes())
    content[-100] ^= 1
    model.write_bytes(content)
    capfd.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(data / "test" / "images"), "-o", str(tmp_path / "out")]) == 2
    assert "differ from their checksum" in only_sentence(capfd)
    assert not (tmp_path / "out").exists()


def test_one_broken_picture_does_not_cost_the_others(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path / "data")
    assert main(["train", str(data), "-o", str(tmp_path / "run"), "-q", *TINY]) == 0
    truncated(data)
    capfd.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(data / "train" / "images"), "-o", str(tmp_path / "out")]) == 5
    assert "broken or truncated" in only_sentence(capfd)
    assert len(list((tmp_path / "out").glob("*_mask.png"))) == 2


def test_a_folder_without_permission_is_not_passed_over(tmp_path: Path) -> None:
    """Its pictures would be missing from the training, and nobody would know."""
    for place in ("images", "masks"):
        for part in ("north", "south"):
            (tmp_path / "data" / place / part).mkdir(parents=True)
            for number in range(3):
                half = np.repeat(np.uint8([[0], [1 if place == "masks" else 90 + number]]), 10, axis=0)
                cv2.imwrite(str(tmp_path / "data" / place / part / f"{number}.png"), np.tile(half, 20))
    shut = tmp_path / "data" / "images" / "south"
    done = check_without(tmp_path / "data", shut)
    assert done.returncode == 3, done
    assert done.stderr.count("\n") == 1
    assert str(shut) in done.stderr
    assert "ermission" in done.stderr


def test_a_photograph_with_damaged_exif_is_read_without_a_line_of_the_library(tmp_path: Path) -> None:
    data = write_set(tmp_path / "data", count=3)
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[271] = "the maker of a camera"
    for number, path in enumerate(sorted((data / "train" / "images").iterdir())):
        path.unlink()
        photograph = path.with_suffix(".jpg")
        Image.fromarray(rng.integers(0, 255, (40, 48, 3), np.uint8)).save(photograph, exif=exif)
        if number == 0:
            content = photograph.read_bytes()
            tags = content.index(b"Exif\0\0") + 6
            # So many tags that the block ends before them.
            photograph.write_bytes(content[: tags + 8] + b"\x30\x30" + content[tags + 10 :])
            with pytest.warns(UserWarning, match="EXIF"), Image.open(photograph) as image:
                image.getexif()
    words = [sys.executable, "-m", "masksmith", "check", str(data)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "broken" not in done.stdout
    assert done.stderr == ""
