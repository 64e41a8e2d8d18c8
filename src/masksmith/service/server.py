"""The service as a program: an address, loading, answering, and leaving in order.

Rule: it listens before anything is loaded, and leaves only when what it has begun is answered.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import FrameType

import uvicorn

from masksmith.errors import EnvironmentFault
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
        self.line = Line(settings.queue)
        self.service = Service(settings, Models(runs), self.line, Metrics(self.line))
        self.fault: BaseException | None = None
        self._tell = tell
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
                timeout_graceful_shutdown=int(settings.deadline_s) + 1,
            )
        )

    def answer(self) -> None:
        """Load, answer until a signal comes, and leave.

        Raises:
            RunError: a run cannot be loaded.
            RecipeError, EnvironmentFault: no such device or runtime.
        """
        loading = self.line.first(lambda: self.service.models.load(self.service.settings))
        loading.add_done_callback(self._loaded)
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
        del frame
        if self.line.is_closing:
            self.should_exit = True
            self.force_exit = sig == signal.SIGINT
        self.leave()

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


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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
