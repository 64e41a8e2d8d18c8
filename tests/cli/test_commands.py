"""The real command line on tiny data: what each command prints, writes and returns."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers import write_set
from masksmith import Run, files, recipe
from masksmith.cli import COMMANDS, demo, main

TINY = ["crop=32", "batch_size=2", "model.width=4", "model.depth=3", "device=cpu"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_set(tmp_path_factory.mktemp("data") / "set")
    (root / "classes.csv").write_text("name,r,g,b\nground,0,0,0\nhouse,230,60,30\n")
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    assert main(["train", str(data), "-o", str(folder), "--steps", "30", *TINY]) == 0
    return folder


def test_help_is_there_for_every_command_and_loads_no_torch() -> None:
    code = "import sys; from masksmith.cli import main; main({!r}); sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    for words in (["--help"], *([name, "--help"] for name in COMMANDS)):
        done = subprocess.run([sys.executable, "-c", code.format(words)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words} loads torch or numpy"
        assert "Usage: masksmith" in done.stdout
        assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_python_m_and_the_script_answer_the_version() -> None:
    done = subprocess.run([sys.executable, "-m", "masksmith", "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"masksmith \d+\.\d+\.\d+\n", done.stdout)


def test_check_prints_what_it_sees(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(data)]) == 0
    out = capsys.readouterr().out
    assert "split folders" in out
    assert "48×40, 3 channels, uint8" in out
    assert "3 train, 3 val, 3 test" in out
    assert re.search(r"house\s+1\s+\d+\.\d\d %", out)
    assert "Nothing stands in the way" in out


def test_check_lists_every_fault_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path)
    (data / "classes.csv").write_text("name,r,g,b\nground,0,0,0\nhouse,230,60,30\n")
    broken, small, strange = sorted((data / "train" / "masks").iterdir())
    broken.write_bytes(broken.read_bytes()[:60])
    cv2.imwrite(str(small), np.zeros((5, 6), np.uint8))
    cv2.imwrite(str(strange), np.full((40, 48), 7, np.uint8))
    assert main(["check", str(data)]) == 4
    error = capsys.readouterr().err
    assert "3 faults must be mended before a training" in error
    assert broken.name in error
    assert "6×5" in error
    assert re.search(rf"{strange.name}.*value 7 in 1920 pixels.*--ignore 7", error)


def test_train_prints_a_line_for_each_epoch_and_the_classes(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(data), "-o", str(tmp_path / "run"), "--steps", "30", *TINY]) == 0
    out = capsys.readouterr().out
    assert "loss     mIoU   pictures/s      left" in out
    assert re.search(r"1/2 +\d\.\d{4} +", out)
    assert re.search(r"2/2 +\d\.\d{4} +\d\.\d{3} +[\d.]+ +0:00", out)
    assert re.search(r"house +\d\.\d{3} +", out)
    assert "NEXT.md" in out


def test_quiet_prints_results_only(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(data), "-o", str(tmp_path / "run"), "--steps", "2", "-q", *TINY]) == 0
    out = capsys.readouterr().out
    assert out.split()[:2] == ["validation", "class"]
    assert "pictures/s" not in out


def test_what_next_says_works(run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"^    (masksmith .*)$", (run / "NEXT.md").read_text(), re.MULTILINE)
    assert len(commands) == 4
    picture = next((data / "test" / "images").iterdir())
    for command in commands:
        words = shlex.split(command)[1:]
        places = {
            "PICTURE.png": picture,
            "FOLDER": data / "val" / "images",
            "masks": tmp_path / "masks",
            "DATA": data,
            "ANOTHER": tmp_path / "another",
        }
        assert main([str(places.get(word, word)) for word in words]) == 0, command
    assert (tmp_path / "masks" / f"{picture.stem}_overlay.png").is_file()
    assert (tmp_path / "another" / "model.safetensors").is_file()
    assert "test part" in capsys.readouterr().out


def test_evaluate_writes_what_it_prints(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), str(data), "--split", "test", "-o", str(tmp_path / "e")]) == 0
    out = capsys.readouterr().out
    stored = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert f"{stored['per_class']['house']['iou']:.3f}" in out
    assert stored["pictures"] == 3
    assert sum(map(sum, stored["confusion"])) == 3 * 40 * 48
    assert main(["evaluate", str(run), "--split", "all", "-o", str(tmp_path / "all")]) == 0
    assert json.loads((tmp_path / "all" / "evaluation.json").read_text())["pictures"] == 9


def test_evaluate_keeps_the_parts_of_an_unsplit_folder(tmp_path: Path) -> None:
    data = write_set(tmp_path / "data", parts=("",), count=8)
    assert main(["train", str(data), "-o", str(tmp_path / "run"), "--steps", "2", *TINY]) == 0
    assert main(["evaluate", str(tmp_path / "run"), str(data), "--split", "test"]) == 0
    stored = json.loads((tmp_path / "run" / "evaluation-test" / "evaluation.json").read_text())
    lines = (tmp_path / "run" / "split.csv").read_text().splitlines()
    assert stored["pictures"] == sum(",test," in line for line in lines) == 1


def test_evaluate_never_empties_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "-o", str(run), "--overwrite"]) == 2
    assert (run / "model.safetensors").is_file()
    assert "nothing was deleted" in capsys.readouterr().err


def test_predict_writes_indices_with_the_palette_of_the_classes(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = sorted((data / "test" / "images").iterdir())
    assert main(["predict", str(run), str(pictures[0]), "-o", str(tmp_path)]) == 0
    with Image.open(tmp_path / f"{pictures[0].stem}_mask.png") as mask:
        assert mask.mode == "P"
        assert mask.size == (48, 40)
        assert mask.getpalette()[:6] == [0, 0, 0, 230, 60, 30]
        indices = np.asarray(mask)
    assert set(np.unique(indices)) <= {0, 1}
    overlay = cv2.imread(str(tmp_path / f"{pictures[0].stem}_overlay.png"))
    assert overlay.shape == (40, 48, 3)
    share = 100 * (indices == 1).mean()
    assert f"{share:.1f} %" in capsys.readouterr().out


def test_predict_never_replaces_a_result_unless_told(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = next((data / "test" / "images").iterdir())
    target = tmp_path / f"{picture.stem}_mask.png"
    target.write_text("mine")
    words = ["predict", str(run), str(picture), "-o", str(tmp_path), "--save", "mask"]
    assert main(words) == 2
    assert target.read_text() == "mine"
    assert "--overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    assert target.read_bytes().startswith(b"\x89PNG")


def test_names_that_are_given_apart_count_like_those_with_commas(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = next((data / "test" / "images").iterdir())
    words = ["predict", str(run), str(picture), "-o", str(tmp_path / "out")]
    assert main([*words, "--save", "npy", "--save", "color,npy"]) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {f"{picture.stem}_{e}" for e in ("mask.npy", "color.png")}
    assert main(["export", str(run), "--to", "onyx", "--to", "onnx", "-o", str(tmp_path / "files")]) == 2
    assert '"onyx"' in capsys.readouterr().err
    assert not (tmp_path / "files").exists()
    assert main([*words, "--threshold", "house=0.3", "--threshold", "house=0.6", "--overwrite"]) == 2
    assert "received house=0.3 and house=0.6; leave one of them out" in capsys.readouterr().err


def test_a_run_is_also_given_as_text(run: Path) -> None:
    assert Run(str(run)) == Run(run) == Run.of(str(run / "model.safetensors"))
    assert Run(str(run)).read_recipe() == Run(run).read_recipe()


def test_predict_answers_for_pictures_larger_and_smaller_than_the_crop(run: Path, tmp_path: Path) -> None:
    for width, height in ((1300, 700), (1, 1), (3, 90)):
        cv2.imwrite(str(tmp_path / f"{width}.png"), np.full((height, width, 3), 90, np.uint8))
        assert main(["predict", str(run), str(tmp_path / f"{width}.png"), "-o", str(tmp_path / "out")]) == 0
        with Image.open(tmp_path / "out" / f"{width}_mask.png") as mask:
            assert mask.size == (width, height)


def test_two_pictures_of_one_name_get_two_masks(run: Path, data: Path, tmp_path: Path) -> None:
    picture = cv2.imread(str(next((data / "test" / "images").iterdir())))
    for place in ("a/x.png", "b/x.png", "a/x.bmp"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / place), picture)
    assert (
        main(
            [
                "predict",
                str(run),
                str(tmp_path / "a"),
                str(tmp_path / "b"),
                "-o",
                str(tmp_path / "out"),
                "--save",
                "mask",
            ]
        )
        == 0
    )
    assert len(list((tmp_path / "out").glob("*_mask.png"))) == 3


def test_shapes_draws_a_set_that_check_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "my s"
    assert main(["shapes", str(place), "--count", "12", "--size", "64", "--classes", "4"]) == 0
    next_words = shlex.split(capsys.readouterr().out.rpartition("Next: ")[2])
    assert next_words == ["masksmith", "train", str(place), "-o", "runs/shapes"]
    assert main(["check", str(place)]) == 0
    assert "hollow" not in capsys.readouterr().out
    sizes = set()
    for path in place.glob("*/images/*.png"):
        with Image.open(path) as image:
            sizes.add(image.size)
    assert sizes == {(64, 64)}
    assert len(list(place.glob("*/masks/*.png"))) == 12


def test_shapes_never_overwrites_somebodys_data(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shapes", str(data), "--overwrite"]) == 2
    assert (data / "train" / "masks").is_dir()
    assert "nothing was deleted" in capsys.readouterr().err


def test_presets_lists_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets"]) == 0
    out = capsys.readouterr().out
    for count in ("7,697,410", "31,031,810", "31,030,658", "21,250,370"):
        assert count in out


def test_keys_lists_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    from masksmith import recipe

    assert main(["train", "--keys"]) == 0
    out = capsys.readouterr().out
    known = recipe.keys()  # a function, not a mapping's
    assert all(key in out for key in known)


def test_the_demo_goes_from_pictures_to_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "my d"
    assert main(["demo", "--shapes", "-o", str(place), "--budget", "4s"]) == 0
    assert (place / "test" / "samples.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((place / "predictions").iterdir())) == 8
    (told,) = re.findall(r"^Try next +(.*)$", capsys.readouterr().out, re.MULTILINE)
    assert shlex.split(told)[:3] == ["masksmith", "predict", str(place / "run")]
    assert main(["demo", "--shapes", "-o", str(place), "--budget", "4s"]) == 2
    assert files.check_claim(place, overwrite=True, ours=demo._ours())  # all of it is known as the demo's


def test_split_writes_a_table_that_train_follows_when_it_was_edited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_set(tmp_path / "data", parts=("",), count=8)
    table = tmp_path / "parts.csv"
    assert main(["split", str(data), "-o", str(table), "--val", "0.25", "--test", "0"]) == 0
    out = capsys.readouterr().out
    assert "split by seed 0: 6 train, 2 val" in out
    assert f"--split {table}" in out.replace("\n", " ")
    text = table.read_text()
    assert text.count(",train,") == 6
    assert text.count(",val,") == 2
    table.write_text(text.replace(",val,", ",test,", 1).replace(",train,", ",val,", 2))
    wanted = {line.split(",")[0]: line.split(",")[1] for line in table.read_text().splitlines()[1:]}
    words = ["train", str(data), "-o", str(tmp_path / "run"), "--split", str(table), "--steps", "1", *TINY]
    assert main(words) == 0
    rows = (tmp_path / "run" / "split.csv").read_text().splitlines()[1:]
    assert {r.split(",")[0]: r.split(",")[1] for r in rows} == wanted


def test_what_split_says_to_train_with_it_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, table = write_set(tmp_path / "my data", parts=("",), count=4), tmp_path / "my parts.csv"
    parts = ["--images", str(data / "images"), "--masks", str(data / "masks"), "--ignore", "7"]
    assert main(["split", *parts, "-o", str(table), "--test", "0"]) == 0
    (command,) = re.findall(r"Train with it: masksmith (train .*)$", capsys.readouterr().out, re.MULTILINE)
    words = shlex.split(command.replace("RUN", shlex.quote(str(tmp_path / "my run"))))
    assert main([*words, "--steps", "1", *TINY]) == 0
    used = recipe.load(tmp_path / "my run" / "recipe.yaml").data
    assert (used.images, used.masks, used.ignore) == (str(data / "images"), str(data / "masks"), ("7",))
    assert used.split == str(table)
    commands = re.findall(r"^    (masksmith .*)$", (tmp_path / "my run" / "NEXT.md").read_text(), re.MULTILINE)
    assert all(str(tmp_path / "my run") in " ".join(shlex.split(each)[1:]) for each in commands)
    assert [shlex.split(each)[2] for each in commands[:2]] == [str(tmp_path / "my run")] * 2
    # The recipe knows where these pictures are, and not from which run a training was started.
    repeat = shlex.split(commands[3])[1:]
    assert repeat == ["train", "-o", "ANOTHER", "--recipe", str(tmp_path / "my run" / "recipe.yaml")]
    assert "a --from that it was started with" in (tmp_path / "my run" / "NEXT.md").read_text()
    assert main([str(tmp_path / "again") if word == "ANOTHER" else word for word in repeat]) == 0
    assert recipe.load(tmp_path / "again" / "recipe.yaml") == recipe.load(tmp_path / "my run" / "recipe.yaml")


def test_split_numbers_folds_and_keeps_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    for folder in ("images", "masks"):
        (data / folder).mkdir(parents=True)
    for number, part in enumerate("abababab"):
        made = write_set(tmp_path / "made", parts=("x",), count=1, seed=number)
        for folder in ("images", "masks"):
            (made / "x" / folder / "x_00.png").rename(data / folder / f"site{number // 2}_{part}.png")
    table = tmp_path / "parts.csv"
    words = ["split", str(data), "-o", str(table), "--folds", "4", "--group-by", "^[^_]+"]
    assert main(words) == 0
    assert f"--split {table} data.fold=0" in capsys.readouterr().out.replace("\n", "")
    rows = [line.split(",") for line in table.read_text().splitlines()]
    assert rows[0][-1] == "fold"
    folds = {row[0]: row[-1] for row in rows[1:]}
    assert sorted(folds.values()) == sorted("00112233")
    assert all(folds[f"site{n}_a"] == folds[f"site{n}_b"] for n in range(4))
    words = [
        "train",
        str(data),
        "--split",
        str(table),
        "data.fold=2",
        "-o",
        str(tmp_path / "run"),
        "--steps",
        "1",
        *TINY,
    ]
    assert main(words) == 0
    used = [line.split(",")[:2] for line in (tmp_path / "run" / "split.csv").read_text().splitlines()[1:]]
    assert {name for name, part in used if part == "val"} == {name for name, fold in folds.items() if fold == "2"}
    assert main([*words[:4], "data.fold=4", "-o", str(tmp_path / "other")]) == 2
    assert "expected pictures of fold 4" in capsys.readouterr().err
    assert main(words) == 2  # the table is there
    assert "--overwrite" in capsys.readouterr().err


def test_check_looks_anew_when_told(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(data)]) == 0
    known = capsys.readouterr().out
    assert main(["check", str(data), "--fresh"]) == 0
    assert capsys.readouterr().out == known


def test_check_prints_json_alone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(data), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert isinstance(told, dict)
