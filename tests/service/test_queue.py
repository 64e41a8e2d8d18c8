"""Who waits, who has gone, and how the service leaves."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

import masksmith
from masksmith.service import answers, pictures, queue, sending, work
from masksmith.service.queue import Stopped
from service.serving import WAIT_S, Serving, encoded, held, picture, until

CONTENT = encoded(picture())
SENT = b"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT


def ask(serving: Serving) -> socket.socket:
    line = socket.create_connection(serving.address, timeout=WAIT_S)
    line.sendall(SENT)
    return line


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What is answered: more than all buffers between service and client hold."""
    content = bytes(2**25)
    monkeypatch.setattr(answers, "single", lambda *_: (".png", content))
    return content


def unread(serving: Serving) -> socket.socket:
    """A client that has seen that an answer comes, and reads no further."""
    line = ask(serving)
    assert line.recv(12) == b"HTTP/1.1 200"
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


def test_a_client_that_does_not_read_keeps_its_place_until_it_goes(run: Path, large: bytes) -> None:
    with Serving(run, queue=1) as serving:
        with unread(serving):
            assert serving.post(CONTENT).status_code == 503
            assert serving.server.line.length == 1
        until(lambda: serving.server.line.is_idle)
        assert serving.post(CONTENT).content == large


def test_a_client_that_does_not_read_loses_its_place(run: Path, large: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert large
    monkeypatch.setattr(sending, "MAX_SEND_S", 0.1)
    with Serving(run) as serving, unread(serving):
        until(lambda: serving.server.line.is_idle)
        until(lambda: 'requests_total{code="499",route="/v1/segment"} 1.0' in serving.get("/metrics").text)


def test_nothing_is_begun_while_too_much_is_not_taken(run: Path, large: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MAX_UNSENT_BYTES", len(large))
    with Serving(run) as serving:
        with unread(serving):
            second = ask(serving)
            until(lambda: serving.server.line.at_work == 1)
            assert "masksmith_pictures_total 1.0" in serving.get("/metrics").text
        with second:
            assert second.recv(12) == b"HTTP/1.1 200"
        until(lambda: serving.server.line.is_idle)
        assert "masksmith_pictures_total 2.0" in serving.get("/metrics").text


def test_one_batch_at_a_time(run: Path) -> None:
    files = [("pictures", ("a.png", CONTENT))]
    with Serving(run) as serving, held() as holding:
        asking = [
            threading.Thread(target=serving.client.post, args=("/v1/segment/batch",), kwargs={"files": files})
            for _ in range(2)
        ]
        for one in asking:
            one.start()
        holding.until_begun()
        until(lambda: serving.server.line.length == 2)
        until(lambda: serving.server.line.at_work == 3)  # both batches, and a picture of the first
        holding.go.set()
        for one in asking:
            one.join(WAIT_S)
        assert len(holding.stops) == 2
