"""``masksmith serve``: trained networks behind HTTP, with a page to try them on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from masksmith import limits
from masksmith.cli import options
from masksmith.errors import EnvironmentFault, InputError

# A token that is shorter can be guessed.
_LEAST_LETTERS = 16
# More is no token.
_MOST_BYTES = 4096

_Runs = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN…", help="Run folders, folders of `masksmith folds`, or model files; the first answers."
    ),
]
_Host = Annotated[
    str | None,
    typer.Option("--host", metavar="NAME", help="Address to listen on; 0.0.0.0 for all. Default: 127.0.0.1."),
]
_Port = Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port; 0 for any that is free.")]
_Token = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="Answer only those who send the token in FILE.")
]
_MaxMb = Annotated[int, typer.Option("--max-mb", metavar="N", min=1, help="Largest picture, in millions of bytes.")]
_Queue = Annotated[int, typer.Option("--queue", metavar="N", min=1, help="Requests that may wait or be worked on.")]
_Deadline = Annotated[
    str, typer.Option("--deadline", metavar="TIME", help="Longest time from a picture to its answer, as 60s.")
]
_AllowHost = Annotated[
    list[str] | None, typer.Option("--allow-host", metavar="NAME", help="A name that it is reached by; repeatable.")
]
_Runtime = Annotated[
    str, typer.Option("--runtime", metavar="NAME", help="auto, or a name that `masksmith runtimes` lists.")
]


def command(
    runs: _Runs,
    host: _Host = None,
    port: _Port = 8000,
    token_file: _Token = None,
    max_mb: _MaxMb = limits.UPLOAD_MB,
    queue: _Queue = limits.QUEUE_LENGTH,
    deadline: _Deadline = "60s",
    allow_host: _AllowHost = None,
    runtime: _Runtime = "auto",
    device: options.Device = "auto",
) -> None:
    """Answer for pictures over HTTP until a signal comes. The page is at the printed address."""
    from masksmith import recipe

    deadline_s = recipe.seconds(deadline, f"--deadline {deadline}")
    token = None if token_file is None else _read_token(token_file)
    try:
        from masksmith.service.server import Server
        from masksmith.service.settings import Settings, hostname, is_loopback
    except ModuleNotFoundError as error:
        raise EnvironmentFault(
            where="masksmith serve",
            expected=f"the library {error.name}",
            received="no such library",
            remedy='install it with pip install "masksmith[serve]"',
        ) from error
    settings = Settings(
        host=host or "127.0.0.1",
        allowed=frozenset(map(hostname, allow_host or [])),
        token=token,
        max_bytes=max_mb * 10**6,
        queue=queue,
        deadline_s=deadline_s,
        runtime=runtime,
        device=device,
    )
    if token is None and not is_loopback(settings.host):
        typer.echo(f"masksmith: without --token-file whoever reaches {settings.host} can use this service.", err=True)
    Server(runs, settings, port, _tell).answer()


def _tell(line: str) -> None:
    print(line, flush=True)  # programs wait for it, also through a pipe


def _read_token(path: Path) -> str:
    """The token in a file, without the line's end.

    Raises:
        InputError: no such file, or none that holds a token.
    """
    received = "another"
    try:
        with path.open("rb") as file:
            token = file.read(_MOST_BYTES + 1).decode("ascii").strip()
        if len(token) >= _LEAST_LETTERS and len(token) <= _MOST_BYTES and token.isprintable() and " " not in token:
            return token
        received = f"{len(token)} letters" if token else "an empty one"
    except UnicodeDecodeError:
        received = "one with other letters"
    except OSError as error:
        received = (error.strerror or str(error)).lower()
    raise InputError(
        where=path,
        expected=f"a file with one token of {_LEAST_LETTERS} plain letters or more",
        received=received,
        remedy='make one with python -c "import secrets; print(secrets.token_urlsafe())"',
    )
