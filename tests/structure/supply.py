"""Where the libraries come from: lock their versions, ask for known advisories, list what is used at run time.

Run by ``make lock``, ``make audit`` (part of ``make check``) and ``make sbom``.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "dev.lock"
SBOM = ROOT / "dist" / "sbom.cdx.json"

# What the lock is for. Anywhere else pyproject.toml's ranges hold.
PYTHON = "3.11"
PLATFORM = "x86_64-manylinux_2_28"
HEAD = f"""\
# Every library of development with its hashes, for Python {PYTHON} on Linux x86_64 (glibc 2.28 or later).
# Made by `make lock`, used by `make test LOCKED=1`. Other platforms use the ranges of pyproject.toml.
"""

# An advisory that cannot be heeded yet, with the reason: "CVE-2000-0000": "no version mends it; we do not call what it is about".
IGNORED: dict[str, str] = {}

# A version with advisories for ever: an index that knows of none has no advisories at all.
PROBE = "https://pypi.org/pypi/jinja2/3.1.0/json"
ANSWER_S = 3
AUDIT_S = 60  # one request for each library; some ten seconds the first time, then they are remembered


def answers() -> bool:
    """Whether the index that pip-audit asks is there and knows of advisories; some mirrors have the files alone."""
    import requests  # which pip-audit brings, with the same proxies and certificates

    try:
        reply = requests.get(PROBE, timeout=ANSWER_S)
        return bool(reply.ok and reply.json().get("vulnerabilities"))
    except (requests.RequestException, ValueError):
        return False


def asked() -> subprocess.CompletedProcess[str]:
    """Ask for the advisories of what is locked; nothing is resolved or installed."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--disable-pip", "--require-hashes"]
    command += ["--format", "json", "--desc", "off", "--progress-spinner", "off", "--timeout", str(ANSWER_S)]
    command += [part for advisory in IGNORED for part in ("--ignore-vuln", advisory)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=AUDIT_S)


def audit() -> int:
    """Print the known advisories of what is locked; 1 if there are any, 0 also where no index answers."""
    silent = "audit: no advisory index answered, so nothing was looked up"
    if not answers():
        print(silent)
        return 0
    try:
        done = asked()
    except subprocess.TimeoutExpired:
        print(f"{silent} (none within {AUDIT_S} s)")
        return 0
    if not done.stdout.strip():
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        lost = re.search(r"Connection|Timeout", done.stderr) is not None
        print(f"{silent} ({why})" if lost else f"audit: pip-audit failed: {why}")
        return 0 if lost else 1
    libraries = json.loads(done.stdout)["dependencies"]
    found = [
        f"{library['name']} {library['version']}: {advisory['id']}, mended in {', '.join(advisory['fix_versions']) or 'no version'}"
        for library in libraries
        for advisory in library.get("vulns", ())
    ]
    unknown = sum("skip_reason" in library for library in libraries)
    clean = f"audit: {len(libraries) - unknown} libraries without known advisories, {unknown} not known to the index"
    print("\n".join(found) or clean)
    return 1 if found else 0


def lock() -> int:
    """Write the newest versions that pyproject.toml allows, each with its hashes as the index states them."""
    build = "hatchling>=1.25\neditables>=0.5\n"  # what an editable install builds with, so that it downloads nothing
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "-", "--extra", "dev"]
    command += ["--python-version", PYTHON, "--python-platform", PLATFORM, "--generate-hashes", "--no-build"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, input=build, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        LOCK.parent.mkdir(exist_ok=True)
        LOCK.write_text(HEAD + done.stdout, encoding="utf-8")
        print(f"lock: {done.stdout.count('==')} libraries in {LOCK.relative_to(ROOT)}")
    return done.returncode


def at_run_time() -> set[str]:
    """Names of the installed libraries that masksmith with all its extras asks for, directly or not."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    names: set[str] = set()
    waiting = [("masksmith", extra) for extra in ("", "all")]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        try:
            wanted = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        names.add(canonicalize_name(name))
        for requirement in map(Requirement, wanted):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                new = {(canonicalize_name(requirement.name), e) for e in ("", *requirement.extras)} - seen
                seen |= new
                waiting += sorted(new)
    return names - {"masksmith"}


def used(listed: dict[str, Any], names: set[str], version: str) -> dict[str, Any]:
    """A CycloneDX list with the libraries of these names alone."""
    from packaging.utils import canonicalize_name

    root = listed["metadata"]["component"]
    root["version"] = version
    components = [c for c in listed["components"] if canonicalize_name(c["name"]) in names]
    kept = {root["bom-ref"], *(c["bom-ref"] for c in components)}
    edges = [
        {**edge, "dependsOn": sorted(kept & set(edge.get("dependsOn", ())))}
        for edge in listed["dependencies"]
        if edge["ref"] in kept
    ]
    return {**listed, "components": components, "dependencies": edges}


def sbom(target: Path = SBOM) -> int:
    """Write the libraries of the run-time environment, with versions and licences, as CycloneDX."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", "pyproject.toml"]
    # The tool writes what it has built itself; checking that against the schema takes ten times as long.
    command += ["--output-reproducible", "--no-validate", sys.executable]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
    else:
        found = used(json.loads(done.stdout), at_run_time(), importlib.metadata.version("masksmith"))
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        print(f"sbom: {len(found['components'])} libraries in {target}")
    return done.returncode


# What `python supply.py NAME` does.
TASKS = {"audit": audit, "lock": lock, "sbom": sbom}

if __name__ == "__main__":
    sys.exit(TASKS[sys.argv[1]]())
