"""The page on ``masksmith check`` holds every finding, and its example runs and prints what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from masksmith.data.findings import FINDINGS

PAGE = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")


def alike(text: str) -> str:
    """Without the widths of columns, and without shares, which may differ in the last place."""
    return re.sub(r"\d+\.\d+ %", "N %", " ".join(text.split()))


def test_the_example_prints_what_the_page_shows(tmp_path: Path) -> None:
    example = PAGE[PAGE.index("## An example") : PAGE.index("## Mending")]
    # The program and the interpreter of these tests, whatever else is installed.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    printed, shown = "", 0
    for language, block in re.findall(r"```(console|text)\n(.*?)```", example, re.DOTALL):
        if language == "text":
            shown += 1
            for line in filter(None, map(alike, block.splitlines())):
                assert line in printed
            continue
        for command in block.splitlines():
            done = subprocess.run(
                ["bash", "-c", command.removeprefix("$ ")],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            printed = alike(done.stdout + "\n" + done.stderr)
            # A check of the faulty set, and nothing else, ends with 4.
            assert done.returncode == (4 if command == "$ masksmith check shapes" else 0), (command, printed)
    assert shown == 4


def test_the_table_holds_every_finding() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (fault|warning|note) \| (.*?) \| (.*?) *\|$", PAGE, re.MULTILINE)
    assert rows == [(kind, f.severity, f.what, f.mended) for kind, f in FINDINGS.items()]
