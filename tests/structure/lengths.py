"""Fail on functions over 60 lines and files over 400 that are not in the list of reasons.

Run by ``make check``.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

MOST_FUNCTION_LINES = 60
MOST_FILE_LINES = 400

# What may be longer, and why.
REASONS = {
    "src/masksmith/models/unet.py": "the whole network is to be read in one file, from top to bottom",
    "src/masksmith/models/unet.py:UNet.__init__": "all public options of the network with their defaults",
    "src/masksmith/classes.py": "the class table and the file that it is written in, which must agree",
    "src/masksmith/recipe.py": "every setting of a training in one list, with what is allowed",
    "src/masksmith/cli/check.py:command": "each option of the command is an argument, two thirds of it",
    "src/masksmith/cli/predict.py:command": "likewise",
    "src/masksmith/cli/train.py:command": "likewise",
}


def lengths(path: Path) -> dict[str, int]:
    """Lines of the file and of each function in it, by "file" and "file:Class.function"."""
    text = path.read_text(encoding="utf-8")
    found = {str(path): text.count("\n")}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                visit(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.FunctionDef):
                found[f"{path}:{prefix}{child.name}"] = (child.end_lineno or child.lineno) - child.lineno + 1
                visit(child, f"{prefix}{child.name}.")

    visit(ast.parse(text), "")
    return found


def main() -> int:
    """Print what is too long; 1 if anything is."""
    measured = {name: n for path in sorted(Path("src").rglob("*.py")) for name, n in lengths(path).items()}
    too_long = [
        f"{name}: {n} lines"
        for name, n in measured.items()
        if n > (MOST_FUNCTION_LINES if ":" in name else MOST_FILE_LINES) and name not in REASONS
    ]
    stale = [
        f"{name}: no longer needs its reason"
        for name in REASONS
        if measured.get(name, 0) <= (MOST_FUNCTION_LINES if ":" in name else MOST_FILE_LINES)
    ]
    print("\n".join([*too_long, *stale]) or f"lengths: {len(measured)} files and functions within their limits")
    return 1 if too_long or stale else 0


if __name__ == "__main__":
    sys.exit(main())
