"""What a running service answers to bad and excessive requests: a table of codes, and whether it lives afterwards.

    python benchmarks/refusals.py OUT

Starts ``masksmith serve`` with a small limit of bytes and a token, sends each request over a connection of its own,
and prints what was sent, the code that was expected and the one that came. 1 if one differs, if an answer speaks of
this machine, or if the service no longer answers for a good picture in the end.
"""

from __future__ import annotations

import argparse
import io
import re
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from large import make_run
from PIL import Image

from masksmith import images

TOKEN = "a-token-of-thirty-two-letters-00"  # noqa: S105 - of this program alone
_MOST_BYTES = 10**6
_WAIT_S = 60


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """A picture as bytes."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says that it is huge."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return head + struct.pack(">I", 9999) + b"IDAT"


def request(  # noqa: PLR0913 - each part of a request that may be wrong
    path: str = "/v1/segment?output=mask",
    body: bytes | None = None,
    *,
    method: str = "POST",
    host: str = "127.0.0.1",
    token: str | None = f"Bearer {TOKEN}",
    more: str = "",
    length: int | None = None,
) -> bytes:
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n"
    head += f"Authorization: {token}\r\n" if token else ""
    if body is not None or length is not None:
        head += f"Content-Length: {len(body or b'') if length is None else length}\r\n"
    return f"{head}{more}\r\n".encode("latin-1") + (body or b"")


def chunked(body: bytes) -> bytes:
    """A request whose body comes in pieces, its length untold."""
    pieces = b"".join(
        b"%x\r\n%s\r\n" % (len(p), p) for p in (body[i : i + 50_000] for i in range(0, len(body), 50_000))
    )
    return request(more="Transfer-Encoding: chunked\r\n") + pieces + b"0\r\n\r\n"


def form(*parts: tuple[str, str, bytes], path: str = "/v1/segment?output=mask") -> bytes:
    """A form with such files: field, name, content."""
    body = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode() + content + b"\r\n"
        for field, name, content in parts
    )
    return request(path, body + b"--x--\r\n", more="Content-Type: multipart/form-data; boundary=x\r\n")


def cases() -> list[tuple[str, int, bytes]]:
    """What is sent in words, the code that it should get, and its bytes."""
    rng = np.random.default_rng(0)
    good = encoded(rng.integers(0, 256, (40, 50, 3), np.uint8))
    jpeg, tiff = (encoded(rng.integers(0, 256, (40, 50, 3), np.uint8), kind) for kind in ("JPEG", "TIFF"))
    noise, much = rng.bytes(300), bytes(2 * _MOST_BYTES)
    marks = {
        "PNG": b"\x89PNG", "JPEG": b"\xff\xd8\xff", "TIFF": b"II*\0", "BigTIFF": b"MM\0+", "GIF": b"GIF89a",
        "WebP": b"RIFFxxxxWEBP", "NPY": b"\x93NUMPY", "NPZ": b"PK\3\4", "BMP": b"BM", "gzip": b"\x1f\x8b",
        "DICOM": bytes(128) + b"DICM", "NIfTI": bytes(344) + b"n+1\0",
    }  # fmt: skip
    batch = "/v1/segment/batch?output=mask"
    return [
        *((f"{name}, then noise", 400, request(body=mark + noise)) for name, mark in marks.items()),
        ("no bytes", 400, request(body=b"")),
        ("half a PNG", 400, request(body=good[: len(good) // 2])),
        ("half a JPEG", 400, request(body=jpeg[: len(jpeg) // 2])),
        ("half a TIFF", 400, request(body=tiff[: len(tiff) // 2])),
        ("a form without a picture", 400, form(("image", "a.png", good))),
        ("a form with two pictures", 400, form(("picture", "a.png", good), ("picture", "b.png", good))),
        ("a form that is none", 400, request(body=b"--y\r\nno", more="Content-Type: multipart/form-data; boundary=x\r\n")),
        ("a form without a boundary", 400, request(body=b"x", more="Content-Type: multipart/form-data\r\n")),
        ("a batch that is no form", 400, request(batch, good)),
        ("an output that does not exist", 400, request("/v1/segment?output=nothing", good)),
        ("a pickle in NPY", 400, request(body=b"\x93NUMPY\1\0v\0{'descr': '|O', 'fortran_order': False, 'shape': (2,)}" + bytes(99))),
        ("no token", 401, request(body=good, token=None)),
        ("a wrong token", 401, request(body=good, token=f"Bearer {TOKEN[:-1]}")),
        ("the token of another scheme", 401, request(body=good, token=f"Basic {TOKEN}")),
        ("no token for the counters", 401, request("/metrics", method="GET", token=None)),
        ("a page of another host", 403, request(body=good, more="Origin: https://evil.example\r\n")),
        ("a page of no host", 403, request(body=good, more="Origin: null\r\n")),
        ("an Origin that is none", 403, request(body=good, more="Origin: http://[\r\n")),
        ("a model that does not exist", 404, request("/v1/segment?model=none", good)),
        ("a model that is a path", 404, request("/v1/model?model=../run", method="GET")),
        ("a path that does not exist", 404, request("/nothing", method="GET")),
        ("a file beside the page", 404, request("/page/__init__.py", method="GET")),
        ("a file above the page", 404, request("/page/..%2fapp.py", method="GET")),
        ("a file of the system", 404, request("/page/%2e%2e/%2e%2e/etc/passwd", method="GET")),
        ("the pages of the framework", 404, request("/docs", method="GET")),
        ("GET for POST", 405, request(method="GET")),
        ("DELETE", 405, request(method="DELETE")),
        ("PUT", 405, request(method="PUT", body=good)),
        ("POST for GET", 405, request("/v1/model", good)),
        ("only films accepted", 406, request("/v1/segment", good, more="Accept: video/mp4\r\n")),
        ("too many bytes", 413, request(body=much)),
        ("too many bytes, announced", 413, request(length=10**12, more="Expect: 100-continue\r\n")),
        ("too many bytes in pieces", 413, chunked(much)),
        ("a form with too large a file", 413, form(("picture", "a.png", much))),
        ("65 pictures at once", 413, form(*[("pictures", f"{n}.png", good) for n in range(65)], path=batch)),
        ("a PNG of 100,000 × 100,000", 413, request(body=bomb(100_000, 100_000))),
        ("a PNG of 2³¹ × 1", 413, request(body=bomb(2**31, 1))),
        ("a page for a picture", 415, request(body=b"<!DOCTYPE html><html></html>")),
        ("a drawing", 415, request(body=b'<svg xmlns="http://www.w3.org/2000/svg"/>')),
        ("text", 415, request(body=b"hello")),
        ("zeros", 415, request(body=bytes(1000))),
        ("a film", 415, request(body=b"\0\0\0\x18ftypmp42" + noise)),
        ("a name that is a path", 415, form(("picture", "../../etc/passwd", b"text"))),
        ("a name that is HTML", 415, form(("picture", "<script>alert(1)</script>.png", b"text"))),
        ("a foreign Host", 421, request(body=good, host="evil.example")),
        ("a Host that only begins like ours", 421, request(body=good, host="127.0.0.1.evil.example")),
        ("another address as Host", 421, request(body=good, host="8.8.8.8")),
        ("16 bits for a network of 8", 422, request(body=encoded(np.zeros((9, 9), np.uint16)))),
        ("seven channels for three", 422, request(body=images.encode_tiff(np.zeros((9, 9, 7), np.uint8)))),
        ("no HTTP", 400, b"hello there\r\n\r\n"),
        ("a length that is no number", 400, request(more="Content-Length: many\r\n")),
        ("a header of 1,000,000 bytes", 400, request(method="GET", more=f"X-Long: {'a' * 10**6}\r\n")),
    ]  # fmt: skip


def answer(address: tuple[str, int], sent: bytes) -> tuple[int, bytes]:
    """The code and all bytes that come back; 0 if the connection is closed without an answer."""
    got = b""
    try:
        with socket.create_connection(address, timeout=_WAIT_S) as line:
            line.sendall(sent)
            while b"\r\n\r\n" not in got or len(got.partition(b"\r\n\r\n")[2]) < _length(got):
                more = line.recv(65536)
                if not more:
                    break
                got += more
    except OSError:
        pass  # closed while we were sending: what was answered counts
    found = re.match(rb"HTTP/1\.1 (\d{3})", got)
    return (int(found[1]) if found else 0), got


def _length(got: bytes) -> int:
    found = re.search(rb"(?i)content-length: (\d+)", got)
    return int(found[1]) if found else 0


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    run, token = make_run(out / "run"), out / "token"
    token.write_text(TOKEN, encoding="utf-8")
    words = ["serve", str(run), "--port", "0", "--runtime", "torch", "--max-mb", "1", "--token-file", str(token)]
    service = subprocess.Popen([sys.executable, "-u", "-m", "masksmith", *words], stdout=subprocess.PIPE, text=True)
    wrong = 0
    try:
        url = next(found[0] for line in service.stdout or () if (found := re.search(r"http://\S+", line)))
        address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        for name, expected, sent in (table := cases()):
            code, got = answer(address, sent)
            leaks = [word for word in (b"Traceback", b'File "', str(out.resolve()).encode()) if word in got]
            wrong += code != expected or bool(leaks)
            print(f"{name:<36} {expected} {code}{'' if code == expected else '   !'}{'  leaks' if leaks else ''}")
        code, got = answer(address, request(body=encoded(np.zeros((40, 50, 3), np.uint8))))
        print(f"{len(table)} requests, {wrong} answered otherwise; a good picture afterwards: {code}")
    finally:
        service.terminate()
        service.wait(_WAIT_S)
    return int(bool(wrong) or code != 200)


if __name__ == "__main__":
    sys.exit(main())
