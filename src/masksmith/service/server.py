"""The service as a program: an address, loading, answering, and leaving in order.

Rule: it listens before anything is loaded, and leaves only when what it has begun is answered.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import FrameType

import uvicorn

from masksmith.errors import EnvironmentFault
from masksmith.inference import lanes
from masksmith.limits import MAX_LEAVING_S, MAX_SEND_S
from masksmith.service.app import build
from masksmith.service.metrics import Metrics
from masksmith.service.models import Models
from masksmith.service.queue import Line
from masksmith.service.settings import Settings
from masksmith.service.work import Service


class Server(uvicorn.Server):
    """uvicorn, which goes on answering (with "503") until what was begun is done, and leaves without an error."""

    def __init__(self, runs: Sequence[Path], settings: Settings, port: int, tell: Callable[[str], None]) -> None:
        """Take the address; nothing is loaded yet.

        Args:
            runs: run folders, folders of folds or model files.
            settings: see there.
            port: 0 for any that is free.
            tell: is called with one line when the models are loaded.

        Raises:
            InputError: two runs have one name.
            EnvironmentFault: the address cannot be had.
        """
        self.line = Line(settings.queue, lanes.of(settings.device, settings.runtime))
        self.service = Service(settings, Models(runs), self.line, Metrics(self.line))
        self.fault: BaseException | None = None
        self._tell = tell
        self._loading: Future[None] | None = None
        self._socket = _listen(settings.host, port)
        self.url = _url(self._socket)
        super().__init__(
            uvicorn.Config(
                build(self.service),
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=MAX_LEAVING_S,
            )
        )

    def answer(self) -> None:
        """Load, answer until a signal comes, and leave.

        Raises:
            RunError: a run cannot be loaded.
            RecipeError, EnvironmentFault: no such device or runtime.
        """
        self._loading = self.line.first(lambda: self.service.models.load(self.service.settings, self.line.lanes))
        self._loading.add_done_callback(self._loaded)
        try:
            self.run(sockets=[self._socket])
        finally:
            self._socket.close()
            self.line.shutdown()
        if self.fault is not None:
            raise self.fault

    def leave(self) -> None:
        """Let nobody in any more, and end when nobody is left."""
        self.line.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal asks to leave, a second one insists."""
        del sig, frame
        if self.line.is_closing:
            self.should_exit = self.force_exit = True
            self.config.timeout_graceful_shutdown = 1  # from Python 3.12 on connections are waited for nevertheless
        self.leave()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections, and end the program here where it would wait for a thread that nobody needs."""
        await super().shutdown(sockets)
        is_loading = self._loading is not None and not self._loading.done()
        is_program = threading.current_thread() is threading.main_thread()
        if is_program and self.fault is None and (self.force_exit or is_loading):
            self.line.shutdown(wait=False)
            _end()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end."""
        return await super().on_tick(counter) or (self.line.is_closing and self.line.is_idle)

    def _loaded(self, loading: Future[None]) -> None:
        if loading.cancelled():
            return
        self.fault = loading.exception()
        if self.fault is not None:
            self.should_exit = True
        elif not self.line.is_closing:
            self._tell(f"masksmith serves {', '.join(self.service.models.names)} on {self.url}")


def _end() -> None:
    """Python itself would wait for all threads, however long a picture or a network takes them."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # of Linux: who takes nothing at all loses the connection
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * MAX_SEND_S))
            found.bind(address)
            found.listen()
        except OSError:
            found.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        raise EnvironmentFault(
            where=f"{host}:{port}",
            expected="an address that is free",
            received=(getattr(error, "strerror", None) or str(error)).lower(),
            remedy="choose another with --host and --port",
        ) from error
    return found


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
