"""What holds for the whole source: the public surface, who writes files, what is forbidden."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import masksmith

SOURCE = Path(__file__).parents[2] / "src" / "masksmith"

# Grows by a deliberate edit here and a line in CHANGELOG.md.
PUBLIC = [
    "ClassTable", "EnvironmentFault", "InputError", "MasksmithError", "Prediction", "Recipe", "Run", "Segmenter",
    "UNet", "evaluate", "load", "plan", "presets", "resume", "shapes", "train",
]  # fmt: skip


def test_the_public_names() -> None:
    assert masksmith.__all__ == PUBLIC == sorted(PUBLIC)
    for name in PUBLIC:
        assert getattr(masksmith, name) is not None
    assert set(PUBLIC) <= set(dir(masksmith))


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(masksmith, "Unet")


def test_importing_masksmith_loads_nothing_heavy() -> None:
    code = "import sys, masksmith; sys.exit(bool({'torch', 'numpy', 'cv2', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_only_files_opens_a_file_for_writing() -> None:
    for path in SOURCE.rglob("*.py"):
        if path == SOURCE / "files.py":
            continue
        if path == SOURCE / "images" / "encode.py":  # tifffile writes to memory there
            assert "io.BytesIO()" in path.read_text(encoding="utf-8")
            continue
        for name, call in calls(ast.parse(path.read_text(encoding="utf-8"))):
            last = name.rpartition(".")[2]
            assert last not in {
                "write_text",
                "write_bytes",
                "savefig",
                "imwrite",
                "save_file",
                "mkdir",
                "unlink",
                "rmtree",
            } or name.startswith("files."), f"{path}: {name}"
            if last == "open":
                modes = [
                    a.value
                    for a in [*call.args, *(k.value for k in call.keywords if k.arg == "mode")]
                    if isinstance(a, ast.Constant)
                ]
                assert not any(isinstance(m, str) and set(m) & set("wax+") and len(m) <= 3 for m in modes), (
                    f"{path}: {ast.unparse(call)}"
                )


def test_nothing_is_unpickled_or_evaluated() -> None:
    forbidden = {"eval", "exec", "torch.load", "torch.save", "yaml.load", "np.load", "pickle.load"}
    for path in SOURCE.rglob("*.py"):
        used = {name for name, _ in calls(ast.parse(path.read_text(encoding="utf-8")))}
        assert not used & forbidden, path


def test_every_module_says_its_job_first() -> None:
    for path in SOURCE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
