"""The command line: one file per command, each of which parses, calls and prints.

Rule: nothing heavy is imported before a command runs, and no error reaches a person as a
traceback.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from masksmith import __version__
from masksmith.cli import (
    check,
    data,
    demo,
    distil,
    evaluate,
    export,
    folds,
    lr,
    plan,
    predict,
    presets,
    quantize,
    runtimes,
    serve,
    shapes,
    split,
    train,
    tune,
    verify,
)
from masksmith.errors import MasksmithError, is_out_of_memory, nearest, one_line

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

COMMANDS: dict[str, Callable[..., None]] = {
    "check": check.command,
    "split": split.command,
    "data": data.command,
    "plan": plan.command,
    "train": train.command,
    "folds": folds.command,
    "distil": distil.command,
    "lr": lr.command,
    "evaluate": evaluate.command,
    "tune": tune.command,
    "predict": predict.command,
    "runtimes": runtimes.command,
    "serve": serve.command,
    "export": export.command,
    "verify": verify.command,
    "quantize": quantize.command,
    "shapes": shapes.command,
    "demo": demo.command,
    "presets": presets.command,
}

# Long work whose results are files: what they print only tells of it, and a log that cannot grow does not end it.
_WRITING = ("train", "folds", "distil", "predict", "demo")

# ClickException, wherever the installed typer keeps it (its own copy, or the click package).
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]

_NO_MEMORY = (
    "memory: expected room for this work, received none; close other programs, or lower batch_size or crop where a "
    "network is trained, --max-memory or --tile where one predicts."
)

# What a shell reports for a program that Ctrl-C ended: 128 + SIGINT.
_INTERRUPTED = 130


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"masksmith {__version__}")
        raise typer.Exit


def build() -> typer.Typer:
    """The application with all of ``COMMANDS``."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(help="A folder of pictures and masks goes in; a trustworthy U-Net comes out.")
    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
        ] = False,
        debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of internal errors.")] = False,
    ) -> None:
        del version, debug  # the first has ended the program, the second is looked at in main

    for name, function in COMMANDS.items():
        app.command(name)(function)
    return app


class _Lasting(io.FileIO):
    """An output that may fail before the work is done: what cannot be written goes nowhere, and the work goes on."""

    def __init__(self, handle: int, endured: type[OSError]) -> None:
        """The first error other than ``endured`` is raised; what then waits to be written is tried again while Python ends."""
        super().__init__(handle, "wb", closefd=False)
        self._endured = endured

    def write(self, content: ReadableBuffer, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            if not isinstance(error, self._endured):
                self._endured = OSError
                raise
            return memoryview(content).nbytes


def _lasting(stream: TextIO, *, result: bool) -> TextIO:
    """The stream for a reader that may go, as with `| head` or a closed terminal; a result must fit on its disk."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    is_terminal = stream.isatty()
    if is_terminal and sys.platform == "win32":  # which shows other letters if it is given bytes
        return stream
    raw = _Lasting(stream.fileno(), BrokenPipeError if result and not is_terminal else OSError)
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 2 wrong input, 3 the environment."""
    # Threads that wait for each other by spinning stand in each other's way as soon as another
    # program uses the machine: beside one busy process a training step on two cores took 4.8 s
    # instead of 0.35 s, with this bound about 1 s. It is read when torch is loaded, which is later.
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:  # a program, whose streams are its own
        command = next((word for word in words if not word.startswith("-")), "")
        sys.stdout = _lasting(sys.stdout, result=command not in _WRITING)
        sys.stderr = _lasting(sys.stderr, result=False)  # of an error the exit code tells as well
    if arguments is None and "--debug" not in words and not sys.warnoptions:
        # What matters of a file is said in a sentence; lines of libraries, with their code, only stand between.
        warnings.simplefilter("ignore")
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        guess = nearest(words[0], COMMANDS)
        hint = f'did you mean "{guess}"' if guess else "masksmith --help explains them"
        return _fail(
            f'command line: expected one of the commands {", ".join(COMMANDS)}, received "{words[0]}"; {hint}.', 2
        )
    try:
        result = build()(args=words, standalone_mode=False, prog_name="masksmith")
        code = result if isinstance(result, int) else 0
        # Some versions of typer turn Ctrl-C into this code by themselves.
        return _fail("interrupted.", code) if code == _INTERRUPTED else code
    except MasksmithError as error:
        return _fail(str(error), error.exit_code)
    except typer.Exit as stop:
        return int(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted.", _INTERRUPTED)
    except _USAGE_ERROR as error:
        return _fail(_sentence(error), 2)
    except Exception as error:
        if "--debug" in words:
            raise
        return _unexpected(error)


def _unexpected(error: Exception) -> int:
    if is_out_of_memory(error):
        return _fail(_NO_MEMORY, 3)
    if isinstance(error, OSError):
        return _fail(
            f"{error.filename or 'output'}: expected a file to read or write, received: {error.strerror}; check space and permissions.",
            3,
        )
    return _fail(f"internal error: {type(error).__name__}: {error}; masksmith --debug … shows where.", 1)


def _sentence(error: Exception) -> str:
    message: str = getattr(error, "format_message", lambda: str(error))()
    if not message:
        return "command line: something is missing; masksmith --help explains it."
    text = " ".join(message.split())
    return f"command line: {text[:1].lower()}{text[1:]}" + ("" if text.endswith((".", "?")) else ".")


def _fail(sentence: str, code: int) -> int:
    print(f"masksmith: {one_line(sentence)}", file=sys.stderr)
    return code
