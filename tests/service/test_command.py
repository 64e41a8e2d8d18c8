"""``masksmith serve``: as a program that starts, answers and leaves; and what it refuses to start with."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from masksmith.cli import main
from service.serving import WAIT_S, encoded, picture, until

Capture = pytest.CaptureFixture[str]
ALL = "0.0.0.0"  # noqa: S104 - what is tested


@pytest.fixture
def program(run: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    words = ["serve", str(run), "--port", "0", "--runtime", "torch", "--device", "cpu", "--queue", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "masksmith", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line.startswith("masksmith serves first on http://127.0.0.1:"), line
            yield process, line.split()[-1]
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")
def test_a_signal_lets_what_is_under_way_end(program: tuple[subprocess.Popen[str], str]) -> None:
    process, url = program
    content = encoded(picture())
    where = httpx.URL(url)
    with (
        httpx.Client(base_url=url, trust_env=False, timeout=WAIT_S) as client,
        socket.create_connection((where.host, where.port or 0), timeout=WAIT_S) as line,
    ):
        line.sendall(b"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(content))
        until(lambda: "masksmith_queue_length 1.0" in client.get("/metrics").text)
        process.send_signal(signal.SIGTERM)
        until(lambda: client.get("/health/ready").status_code == 503)
        assert client.post("/v1/segment", content=content).status_code == 503
        line.sendall(content)
        assert line.recv(20).startswith(b"HTTP/1.1 200 OK")
    assert process.wait(WAIT_S) == 0
    assert process.stderr
    assert process.stderr.read() == ""


STUCK = """
import sys, threading
from pathlib import Path
from masksmith.service import work
from masksmith.service.models import Models
from masksmith.service.server import Server
from masksmith.service.settings import Settings

def stuck(*_):
    print("stuck", flush=True)
    threading.Event().wait()

if sys.argv[2] == "loading":
    Models.load = stuck
else:
    work._answer = stuck
server = Server([Path(sys.argv[1])], Settings(runtime="torch", device="cpu"), 0, lambda line: None)
print(server.url, flush=True)
server.answer()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")
@pytest.mark.parametrize("where", ["loading", "network"])
def test_a_thread_that_does_not_end_is_not_waited_for(run: Path, where: str) -> None:
    words = [sys.executable, "-c", STUCK, str(run), where]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stderr
            url = httpx.URL(process.stdout.readline().strip())
            with (
                httpx.Client(base_url=url, trust_env=False, timeout=WAIT_S) as client,
                socket.create_connection((url.host, url.port or 0), timeout=WAIT_S) as line,
            ):
                if where == "network":
                    until(lambda: client.get("/health/ready").status_code == 200)
                    content = encoded(picture())
                    head = b"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                    line.sendall(head % len(content) + content)
                assert process.stdout.readline() == "stuck\n"
                until(lambda: client.get("/health/live").status_code == 200)  # and so it knows signals
                process.send_signal(signal.SIGTERM)
                if where == "network":
                    until(lambda: client.get("/health/ready").json()["status"] == "leaving")
                    process.send_signal(signal.SIGTERM)
                assert process.wait(WAIT_S) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


def refused(words: list[str], code: int, capfd: Capture) -> str:
    assert main(["serve", *words]) == code
    out, error = capfd.readouterr()
    assert out == ""
    sentence = error.splitlines()[-1]
    assert sentence.startswith("masksmith: ")
    assert sentence.endswith(".")
    return sentence


def test_what_it_does_not_start_with(run: Path, tmp_path: Path, capfd: Capture) -> None:
    assert "twice" in refused([str(run), str(run), "--port", "0"], 2, capfd)
    assert "no such file" in refused([str(tmp_path / "none"), "--port", "0"], 2, capfd)
    assert "runtime" in refused([str(run), "--port", "0", "--runtime", "torhc"], 2, capfd)
    assert "one device" in refused([str(run), "--port", "0", "--device", "cpu,cpu"], 2, capfd)
    assert "--deadline soon: expected a time" in refused([str(run), "--deadline", "soon"], 2, capfd)
    assert "RUN" in refused([], 2, capfd)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"127.0.0.1:{port}" in refused([str(run), "--port", port], 3, capfd)
    assert "address" in refused([str(run), "--host", "256.0.0.1"], 3, capfd)


@pytest.mark.parametrize("content", [b"", b"short", b"two words of a token", "tökentökentöken".encode(), b"x" * 5000])
def test_a_token_that_is_none(run: Path, tmp_path: Path, capfd: Capture, content: bytes) -> None:
    file = tmp_path / "token"
    assert "token" in refused([str(run), "--token-file", str(file)], 2, capfd)
    file.write_bytes(content)
    assert "token_urlsafe" in refused([str(run), "--token-file", str(file)], 2, capfd)


def test_without_a_token_on_another_address_a_warning_is_told(run: Path, tmp_path: Path, capfd: Capture) -> None:
    none = str(tmp_path / "none")
    assert main(["serve", none, "--host", ALL, "--port", "0"]) == 2
    assert "without --token-file" in capfd.readouterr().err
    (tmp_path / "token").write_text("a-token-of-thirty-two-letters-00\n")
    assert main(["serve", none, "--host", ALL, "--port", "0", "--token-file", str(tmp_path / "token")]) == 2
    assert "without --token-file" not in capfd.readouterr().err
