"""The files of deploy/, read: no engine runs here, so they are held against the program and against each other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from masksmith import __version__
from masksmith.cli import build
from masksmith.limits import DEADLINE_S, MAX_BODY_S, MAX_LEAVING_S, MAX_SEND_S
from service.test_app import PATHS

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = ("Dockerfile", "Dockerfile.dockerignore", "kubernetes.yaml", "masksmith.service")
# From the signal until the last picture has arrived, is answered for, and its answer is taken.
LONGEST_S = MAX_BODY_S + DEADLINE_S + MAX_SEND_S + MAX_LEAVING_S
OPTIONS = {
    option
    for parameter in typer.main.get_command(build()).commands["serve"].params  # type: ignore[attr-defined]
    for option in parameter.opts
}


def text(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def options(words: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]*", words))


def test_these_files_are_there() -> None:
    assert sorted(path.name for path in DEPLOY.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_no_secret_and_no_moving_version(name: str) -> None:
    assert ":latest" not in text(name)
    assert set(re.findall(r"masksmith:(\d+\.\d+\.\d+)", text(name))) <= {__version__}


def test_the_dockerfile() -> None:
    asked = re.search(r"docker run .*\n.*--stop-timeout (\d+) ", text("Dockerfile"))
    assert asked
    assert int(asked[1]) >= LONGEST_S
    lines = [line for line in text("Dockerfile").replace("\\\n", " ").splitlines() if line and line[0] != "#"]
    stages: dict[str, tuple[str, list[str]]] = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        assert word in {
            "FROM",
            "ENV",
            "RUN",
            "COPY",
            "USER",
            "EXPOSE",
            "HEALTHCHECK",
            "STOPSIGNAL",
            "ENTRYPOINT",
            "CMD",
        }
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            assert image in stages or re.fullmatch(r"python:3\.\d+-slim", image), image
            stages[name] = (image, [])
        else:
            stages[name][1].append(line)
    assert list(stages)[-1] == "cpu"
    for target in ("cpu", "cuda"):
        parent, own = stages[target]
        assert parent == "running"
        assert not [line for line in own if line.startswith("USER")]
        built = re.search(r"COPY --from=(\S+)", "\n".join(own))
        assert built
        assert built[1] in stages
    running = "\n".join(stages["running"][1])
    assert re.search(r"^USER 10001$", running, re.MULTILINE)
    health = re.search(r"http://127\.0\.0\.1:8000(/[a-z/]+)", running)
    assert health
    assert health[1] in PATHS
    command = running.partition('CMD ["/runs')[2]
    assert options(command) <= OPTIONS
    assert "--token-file" in command
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", "\n".join(lines), re.MULTILINE):
        for path in source.split():
            assert (DEPLOY.parent / path).exists()
            assert f"!{path}" in text("Dockerfile.dockerignore").splitlines()


def test_the_unit_of_systemd() -> None:
    sections: dict[str, dict[str, str]] = {}
    for line in text("masksmith.service").splitlines():
        if line.startswith("["):
            current = sections[line.strip("[]")] = {}
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals
            assert key not in current
            current[key] = value
    assert set(sections) == {"Unit", "Service", "Install"}
    service = sections["Service"]
    assert service["ExecStart"].split()[1] == "serve"
    assert options(service["ExecStart"]) <= OPTIONS
    assert "--token-file %d/token" in service["ExecStart"]
    assert service["LoadCredential"].startswith("token:/")
    assert (service["DynamicUser"], service["NoNewPrivileges"], service["KillSignal"]) == ("yes", "yes", "SIGTERM")
    assert int(service["TimeoutStopSec"]) >= LONGEST_S


def test_the_manifest_of_kubernetes() -> None:
    deployment, service = yaml.safe_load_all(text("kubernetes.yaml"))
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert deployment["spec"]["selector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]
    assert pod["terminationGracePeriodSeconds"] >= LONGEST_S + 5
    inner = container["securityContext"]
    assert inner["readOnlyRootFilesystem"]
    assert not inner["allowPrivilegeEscalation"]
    assert inner["capabilities"] == {"drop": ["ALL"]}
    assert options(" ".join(container["args"])) <= OPTIONS
    assert "--allow-host=" + service["metadata"]["name"] in container["args"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in PATHS
        assert asked["port"] in {port["name"] for port in container["ports"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    token = next(word.partition("=")[2] for word in container["args"] if word.startswith("--token-file"))
    assert any(token.startswith(mount["mountPath"] + "/") for mount in container["volumeMounts"])
