"""The lock file agrees with pyproject.toml and names no host; the audit tells silence from faults; the list is complete."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from structure import supply

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# The lock's own environment, not that of this test.
LINUX = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": f"{supply.PYTHON}.0",
    "python_version": supply.PYTHON,
    "sys_platform": "linux",
}


def wanted(extra: str) -> list[Requirement]:
    """What pyproject.toml asks for with this extra, through masksmith[...] too."""
    project = tomllib.loads((supply.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: list[Requirement] = [Requirement(line) for line in project["dependencies"]]
    waiting = [extra]
    while waiting:
        for requirement in map(Requirement, project["optional-dependencies"][waiting.pop()]):
            if requirement.name == "masksmith":
                waiting += requirement.extras
            else:
                found.append(requirement)
    return [r for r in found if r.marker is None or r.marker.evaluate(LINUX)]


def pins() -> dict[str, tuple[str, list[str]]]:
    """Name to version and hashes; fails on any line that is neither."""
    found: dict[str, tuple[str, list[str]]] = {}
    for entry in supply.LOCK.read_text(encoding="utf-8").removeprefix(supply.HEAD).replace("\\\n", " ").splitlines():
        read = re.fullmatch(r"([a-z0-9-]+)==(\S+)((?:\s+--hash=sha256:[0-9a-f]{64})+)", entry)
        assert read, f"not a version with its hashes: {entry[:80]}"
        found[read[1]] = (read[2], read[3].split())
    return found


def test_the_lock_has_what_pyproject_asks_for() -> None:
    locked = pins()
    for requirement in wanted("dev"):
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{requirement}: run `make lock`"
        assert requirement.specifier.contains(Version(locked[name][0])), f"{requirement}: run `make lock`"
    assert {"torch", "torchvision", "hatchling", "editables"} <= set(locked)


def test_the_lock_says_what_it_is_for_and_names_no_host() -> None:
    text = supply.LOCK.read_text(encoding="utf-8")
    assert text.startswith(supply.HEAD)
    assert not re.search(r"://|\bfile:|index-url|find-links|\s@\s", text)


def test_check_audits() -> None:
    (check,) = re.findall(
        r"^check:.*\n((?:\t.*\n)+)", (supply.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert "supply.py audit" in check


SAFE = {"name": "jinja2", "version": "3.1.6", "vulns": []}
UNSAFE = {"name": "jinja2", "version": "3.1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"]}]}
UNKNOWN = {"name": "ours", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("libraries", "code", "said"),
    [
        ([SAFE, UNKNOWN], 0, "audit: 1 libraries without known advisories, 1 not known to the index\n"),
        ([SAFE, UNSAFE], 1, "jinja2 3.1.0: PYSEC-1, mended in 3.1.6\n"),
    ],
)
def test_an_advisory_fails_the_audit(
    libraries: list[dict[str, Any]],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reply = subprocess.CompletedProcess([], code, json.dumps({"dependencies": libraries}), "")
    monkeypatch.setattr(supply, "answers", lambda: True)
    monkeypatch.setattr(supply, "asked", lambda: reply)
    assert supply.audit() == code
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("error", "code"), [("requests.exceptions.ConnectionError: gone", 0), ("error: unrecognized arguments", 1)]
)
def test_a_lost_connection_passes_and_a_fault_does_not(error: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supply, "answers", lambda: True)
    monkeypatch.setattr(supply, "asked", lambda: subprocess.CompletedProcess([], 1, "", error))
    assert supply.audit() == code


def test_silence_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("requests")
    monkeypatch.setattr(supply, "PROBE", "http://127.0.0.1:9/")  # the port that discards
    assert supply.audit() == 0
    assert capsys.readouterr().out == "audit: no advisory index answered, so nothing was looked up\n"


@pytest.mark.skipif(importlib.util.find_spec("pip_audit") is None, reason="pip-audit is not installed")
def test_the_tool_takes_the_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A short lock file: `--dry-run` asks nobody.
    entry = supply.LOCK.read_text(encoding="utf-8").partition("\naiohttp==")[0].rstrip(" \\\n")
    monkeypatch.setattr(supply, "LOCK", tmp_path / "dev.lock")
    supply.LOCK.write_text(entry + "\n", encoding="utf-8")
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **options: run([*command, "--dry-run"], **options))
    done = supply.asked()
    assert done.returncode == 0, done.stderr


def test_the_list_keeps_what_runs() -> None:
    listed = {
        "metadata": {"component": {"bom-ref": "root", "name": "masksmith"}},
        "components": [{"bom-ref": "a", "name": "PyYAML"}, {"bom-ref": "b", "name": "pytest"}],
        "dependencies": [{"ref": "root", "dependsOn": ["a", "b"]}, {"ref": "a"}, {"ref": "b", "dependsOn": ["a"]}],
    }
    kept = supply.used(listed, {"pyyaml"}, "1.2")
    assert [c["name"] for c in kept["components"]] == ["PyYAML"]
    assert kept["dependencies"] == [{"ref": "root", "dependsOn": ["a"]}, {"ref": "a", "dependsOn": []}]
    assert kept["metadata"]["component"]["version"] == "1.2"


def test_what_is_used_at_run_time() -> None:
    names = supply.at_run_time()
    assert {"torch", "pillow", "jinja2", "markupsafe", "starlette"} <= names
    assert not {"masksmith", "pytest", "mypy", "ruff", "uv"} & names


@pytest.mark.skipif(importlib.util.find_spec("cyclonedx_py") is None, reason="cyclonedx-bom is not installed")
def test_the_list_of_libraries(tmp_path: Path) -> None:
    target = tmp_path / "sbom.cdx.json"
    assert supply.sbom(target) == 0
    text = target.read_text(encoding="utf-8")
    listed = json.loads(text)
    assert listed["bomFormat"] == "CycloneDX"
    assert {c["name"] for c in listed["components"]} >= {"torch", "pillow"}
    assert all(c["version"] for c in [*listed["components"], listed["metadata"]["component"]])
    assert str(supply.ROOT) not in text
