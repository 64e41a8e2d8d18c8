"""What is refused: each code of the table, in one shape, without a word about this machine."""

from __future__ import annotations

import errno
import socket
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir

import cv2
import httpx
import numpy as np
import pytest

from helpers import write_image
from masksmith.errors import EnvironmentFault, MasksmithError, RunError
from masksmith.images import FORMATS
from masksmith.service import faults
from masksmith.service.settings import Settings
from service.serving import WAIT_S, Serving, encoded, held, picture, until

TOKEN = "a-token-of-thirty-two-letters-00"  # noqa: S105 - of a test


def told(answer: httpx.Response, code: int) -> dict[str, str]:
    """The error of an answer, in the one shape that they all have."""
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    error = answer.json()["error"]
    assert list(error) == ["code", "where", "expected", "received", "remedy", "message"]
    assert error["code"] == code
    assert error["message"].endswith(".")
    assert not [word for word in ("Traceback", gettempdir(), "masksmith-", 'File "') if word in answer.text]
    return dict(error)


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says that it is huge."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return head + struct.pack(">I", 9999) + b"IDAT"


def test_no_picture_and_broken_ones(serving: Serving) -> None:
    whole = encoded(picture())
    told(serving.post(b"", "mask"), 400)
    told(serving.client.post("/v1/segment", content=b""), 400)
    assert "truncated" in told(serving.post(whole[: len(whole) // 2], "mask", "cut.png"), 400)["message"]
    assert "picture" in told(serving.client.post("/v1/segment", files={"image": ("a.png", whole)}), 400)["remedy"]
    told(serving.client.post("/v1/segment", data={"picture": "text"}, files={"other": b"x"}), 400)
    two = [("picture", ("a.png", whole)), ("picture", ("b.png", whole))]
    told(serving.client.post("/v1/segment", files=two), 400)
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    told(serving.client.post("/v1/segment", content=b"--y\r\nnonsense", headers=broken), 400)
    told(serving.client.post("/v1/segment", content=b"x", headers={"Content-Type": "multipart/form-data"}), 400)
    told(serving.client.post("/v1/segment/batch", content=whole), 400)


def test_a_charset_that_reads_nothing(serving: Serving) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\nx\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x; charset=undefined"}
    assert "charset" in told(serving.client.post("/v1/segment", content=form, headers=headers), 400)["remedy"]


@pytest.mark.parametrize(
    "mark",
    [
        b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0+", b"GIF89a", b"RIFFxxxxWEBP", b"\x93NUMPY", b"PK\3\4", b"BM",
        b"\x1f\x8b", bytes(128) + b"DICM", bytes(344) + b"n+1\0",
    ],
)  # fmt: skip
def test_rubbish_behind_a_right_beginning(serving: Serving, mark: bytes) -> None:
    noise = np.random.default_rng(0).bytes(300)
    told(serving.post(mark + noise, "mask"), 400)
    told(serving.post(mark, "mask"), 400)


def test_names_that_do_not_exist(serving: Serving) -> None:
    assert "overlay" in told(serving.post(encoded(picture()), "overlai"), 400)["remedy"]
    assert "first" in told(serving.client.post("/v1/segment?model=frist", content=b"x"), 404)["remedy"]
    told(serving.get("/v1/model?model=../first"), 404)
    told(serving.get("/nothing"), 404)
    for path in ("/page/none.js", "/page/..%2f__init__.py", "/page/%2e%2e/app.py", "/page/__init__.py"):
        told(serving.get(path), 404)
    told(serving.get("/docs"), 404)
    answer = serving.get("/v1/segment")
    told(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_what_is_not_acceptable(serving: Serving) -> None:
    assert "image/png" in told(serving.post(encoded(picture()), headers={"Accept": "video/mp4"}), 406)["expected"]


def talk(serving: Serving, *parts: bytes) -> bytes:
    """What comes back from a bare connection that stays open."""
    with socket.create_connection(serving.address, timeout=WAIT_S) as line:
        for part in parts:
            line.sendall(part)
        got = b""
        while b"\r\n\r\n" not in got or b"}}" not in got:
            more = line.recv(65536)
            if not more:
                break
            got += more
        return got


HEAD = b"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\n"


def test_a_body_that_does_not_come(serving: Serving) -> None:
    got = talk(serving, HEAD + b"Content-Length: 1000\r\n\r\nsome")
    assert got.startswith(b"HTTP/1.1 408 ")
    assert b"within 0.3 seconds" in got


def test_what_is_no_http_is_answered_in_plain_text(serving: Serving) -> None:
    got = talk(serving, b"nothing of the kind\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: text/plain" in got.lower()


def test_too_many_bytes_with_and_without_a_length(serving: Serving) -> None:
    much = bytes(300_000)

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(much), 50_000):
            yield much[start : start + 50_000]

    assert "300,000" in told(serving.client.post("/v1/segment", content=much), 413)["received"]
    told(serving.client.post("/v1/segment", content=pieces()), 413)
    told(serving.post(much, "mask"), 413)
    told(serving.post(bytes(210_000), "mask"), 413)  # a form that is within the limit with a file that is not
    four = [("pictures", (f"{n}.png", encoded(picture()))) for n in range(5)]
    assert "4 pictures" in told(serving.client.post("/v1/segment/batch", files=four), 413)["expected"]
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: 300000\r\n\r\n"
    assert talk(serving, head).startswith(b"HTTP/1.1 413 ")  # and nothing of the body was asked for


def test_too_many_pixels_are_told_from_the_header(serving: Serving) -> None:
    assert "90000×90000" in told(serving.post(bomb(90_000, 90_000), "mask"), 413)["received"]
    assert serving.get("/v1/model").json()["limits"] == {"max_bytes": 200_000, "max_pixels": 2**26}
    assert Settings().max_pixels(150) == 2**31 // 600


def test_what_is_no_picture(serving: Serving) -> None:
    error = told(serving.post(b"<html><body>404</body></html>", "mask", "../../etc/passwd"), 415)
    assert error["where"] == "passwd"


def test_what_the_network_is_not_made_for(serving: Serving, tmp_path: Path) -> None:
    deep = encoded(np.zeros((9, 9, 3), np.uint16))
    assert "uint16" in told(serving.post(deep, "mask"), 422)["received"]
    bands = write_image(tmp_path / "a.tif", np.zeros((9, 9, 7), np.uint8)).read_bytes()
    assert "3 channels" in told(serving.post(bands, "mask"), 422)["expected"]


def test_a_name_is_text_and_nothing_else(serving: Serving) -> None:
    name = '<img src=x onerror="alert(1)">'
    answer = serving.post(b"nothing", "mask", name)
    assert "<" not in answer.text
    told(answer, 415)
    found = serving.post(encoded(picture()), "labelme", f"{name}\r\nX-Evil: 1")
    assert "x-evil" not in found.headers
    assert "<" not in found.headers["content-disposition"]
    assert "<" not in found.json()["imagePath"]


def test_a_host_that_is_not_ours(serving: Serving) -> None:
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "8.8.8.8", "[::2]"):
        told(serving.get("/", headers={"Host": host}), 421)
    for host in ("localhost", "LOCALHOST:1234", "127.0.0.1", "[::1]:80"):
        assert serving.get("/health/live", headers={"Host": host}).status_code == 200
    everywhere = Settings(host="::", allowed=frozenset({"masks.example"}))
    assert everywhere.is_ours("10.1.2.3:8000")
    assert everywhere.is_ours("masks.example")
    assert not everywhere.is_ours("evil.example")


def test_a_page_of_another_host(serving: Serving) -> None:
    content, own = encoded(picture()), serving.server.url
    for origin in ("https://evil.example", "null", "http://localhost:1", "http://[", f"{own}.evil.example"):
        told(serving.post(content, "mask", headers={"Origin": origin}), 403)
    assert serving.post(content, "mask", headers={"Origin": own}).status_code == 200


def test_the_token(run: Path) -> None:
    with Serving(run, token=TOKEN) as serving:
        for value in (None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", b"Bearer \xe4"):
            answer = serving.get("/v1/model", headers={} if value is None else {"Authorization": value})
            told(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in answer.text
        assert serving.get("/v1/model", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200
        for path, code in {"/": 200, "/health/ready": 200, "/metrics": 401, "/openapi.json": 401}.items():
            assert serving.get(path).status_code == code


def test_one_more_than_may_wait(run: Path) -> None:
    with Serving(run, queue=1) as serving, held() as holding:
        with socket.create_connection(serving.address, timeout=WAIT_S) as line:
            line.sendall(HEAD + b"Content-Length: 10\r\n\r\n")
            until(lambda: serving.server.line.length == 1)
            answer = serving.post(encoded(picture()))
            assert "at most 1 requests" in told(answer, 503)["expected"]
            assert int(answer.headers["retry-after"]) >= 1
        until(lambda: serving.server.line.length == 0)  # whoever goes gives the place back
        holding.go.set()
        assert serving.post(encoded(picture())).status_code == 200


def test_the_deadline(run: Path) -> None:
    with Serving(run, deadline_s=0.2) as serving, held() as holding:
        assert "0.2 seconds" in told(serving.post(encoded(picture())), 504)["expected"]
        assert holding.stops[0].wait(WAIT_S)  # the network is asked to give up
        assert not serving.server.line.is_idle  # it has not yet


def test_a_library_that_is_not_installed(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rasterio.shutil", None)
    assert "masksmith[geo]" in told(serving.post(encoded(picture()), "cog"), 501)["remedy"]


def test_a_fault_in_the_program(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret of /tmp/x.py")

    monkeypatch.setattr("masksmith.service.pictures.decode", broken)
    assert "secret" not in told(serving.post(encoded(picture())), 500)["message"]
    for passing in (
        MemoryError(),
        OSError(errno.ENOSPC, "No space left"),
        OSError(errno.EMFILE, "Too many open files"),
    ):
        monkeypatch.setattr("masksmith.service.pictures.decode", failing(passing))
        told(serving.post(encoded(picture())), 503)


def test_want_of_memory_or_disk_is_not_the_fault_of_the_picture(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    for want in (
        MemoryError("Unable to allocate 9 GiB"),
        cv2.error("Insufficient memory"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(FORMATS, ".png", replace(FORMATS[".png"], read=failing(want)))
            told(serving.post(encoded(picture())), 503)
    monkeypatch.setattr("pathlib.Path.write_bytes", failing(OSError(errno.ENOSPC, "No space left on device")))
    told(serving.post(encoded(picture())), 503)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("a secret\nof /tmp/x.py"), MasksmithError(where="a", expected="b", received="c", remedy="d")],
)
def test_a_fault_is_logged_once_also_within_a_batch(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    monkeypatch.setattr("masksmith.service.pictures.decode", failing(error))
    line = f"of-a-test: {type(error).__name__}: {' '.join(str(error).split())}"
    named = {"X-Request-Id": "of-a-test"}
    told(serving.post(encoded(picture()), headers=named), 500)
    files = [("pictures", ("a.png", encoded(picture())))]
    answer = serving.client.post("/v1/segment/batch", files=files, headers=named)
    assert answer.status_code == 200
    assert b"secret" not in answer.content
    assert [record.getMessage() for record in caplog.records if record.name == "masksmith.service"] == [line, line]


@pytest.mark.parametrize("kind", faults.CODES)
def test_every_kind_has_its_code(kind: type[MasksmithError]) -> None:
    error = kind(where="a", expected="b", received="c\nd" + "e" * 999, remedy="f")
    answer = faults.response(error)
    assert answer.status_code == faults.CODES[kind] == faults.code(error)
    assert len(answer.body) < 1500
    assert b"\\n" not in answer.body


def test_the_code_of_a_kind_that_is_not_in_the_table() -> None:
    assert faults.code(RunError(where="a", expected="b", received="c", remedy="d")) == 422
    assert faults.code(EnvironmentFault(where="a", expected="b", received="c", remedy="d")) == 501
