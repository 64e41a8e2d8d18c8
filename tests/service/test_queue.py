"""Who waits, who has gone, and how the service leaves."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

import masksmith
from masksmith.service import pictures, work
from masksmith.service.queue import Stopped
from service.serving import WAIT_S, Serving, encoded, held, picture, until

CONTENT = encoded(picture())
SENT = b"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT


def ask(serving: Serving) -> socket.socket:
    line = socket.create_connection(serving.address, timeout=WAIT_S)
    line.sendall(SENT)
    return line


def answered(line: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got or not got.endswith(b"}"):
        more = line.recv(65536)
        assert more, got
        got += more
    line.close()
    return got


def test_who_has_gone_is_not_answered_for(run: Path) -> None:
    with Serving(run) as serving, held() as holding:
        first = ask(serving)
        holding.until_begun()
        second, third = ask(serving), ask(serving)
        until(lambda: serving.server.line.length == 3)
        assert b"masksmith_queue_length 3.0" in serving.get("/metrics").content
        second.close()
        until(lambda: serving.server.line.length == 2)
        holding.go.set()
        assert b" 200 OK" in answered(first)
        assert b" 200 OK" in answered(third)
        until(lambda: serving.server.line.is_idle)
        assert len(holding.stops) == 2  # the second was never begun
        metrics = serving.get("/metrics").text
        assert "masksmith_pictures_total 2.0" in metrics
        assert f"masksmith_pixels_total {2 * 40 * 56}.0" in metrics
        assert 'masksmith_requests_total{code="499",route="/v1/segment"} 1.0' in metrics


def test_one_that_goes_while_the_network_works_stops_it(run: Path) -> None:
    with Serving(run) as serving, held() as holding:
        line = ask(serving)
        holding.until_begun()
        line.close()
        assert holding.stops[0].wait(WAIT_S)
        holding.go.set()
        until(lambda: serving.server.line.is_idle)
        assert "masksmith_pictures_total 0.0" in serving.get("/metrics").text


def test_a_stopped_picture_ends_before_its_next_window(run: Path) -> None:
    loaded = masksmith.load(run, device="cpu")
    decoded = pictures.decode(CONTENT, "a.png", loaded.model, 10**6)
    stop = threading.Event()
    found = work._answer(loaded, decoded, stop)
    np.testing.assert_array_equal(found.mask_HW, loaded.segment(picture()[..., ::-1].copy()).mask_HW)
    stop.set()
    with pytest.raises(Stopped):
        work._answer(loaded, decoded, stop)


def test_leaving_ends_what_is_under_way(run: Path) -> None:
    with Serving(run) as serving, held() as holding:
        first = ask(serving)
        holding.until_begun()
        serving.server.leave()
        refused = serving.post(CONTENT)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        ready = serving.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "leaving")
        holding.go.set()
        got = answered(first)
        assert b" 200 OK" in got
        assert json.loads(got.partition(b"\r\n\r\n")[2])["model"] == "first"
        serving.thread.join(WAIT_S)
        assert not serving.thread.is_alive()
