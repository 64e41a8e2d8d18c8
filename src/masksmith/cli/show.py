"""How the command line shows things: colours and live lines in a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from masksmith.errors import one_line
from masksmith.events import Epoch, Listener

# Between two columns of a table.
_GAP = 2
# Wider than any table: a file or a pipe has no edge that figures would be cut at.
_NO_EDGE = 2**16
# Room that a table leaves for names where its figures take much: they are broken, and can still be read.
_NAME_WIDTH = 16
# A long value, as of class weights, leaves room for its reason on a line of 80.
_VALUE_WIDTH = 24
# Nobody has read by then that the work is about to stop: what comes so soon is the first signal, repeated.
_REPEATED_S = 1.0


def console() -> Console:
    """Standard output, each line written at once; without a terminal no line is broken."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    edge = None if sys.stdout.isatty() else _NO_EDGE
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=edge is not None, width=edge)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, last_is_total: bool = False) -> Table:
    """A table whose first column is text and whose others are figures."""
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    for position, name in enumerate(header):
        justify: JustifyMethod = "left" if position == 0 else "right"
        made.add_column(one_line(name), justify=justify, no_wrap=position > 0, overflow="fold")
    for number, row in enumerate(rows):
        style = "bold" if last_is_total and number == len(rows) - 1 else ""
        made.add_row(*map(one_line, row), style=style)
    return made


def fits(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Whether ``table`` shows all figures in so many letters; rich would cut them, and names to nothing."""
    names, *figures = (max(map(cell_len, column)) for column in zip(header, *rows, strict=True))
    return min(names, _NAME_WIDTH) + sum(_GAP + figure for figure in figures) <= width


def plan_table(choices: Sequence[tuple[str, str, str]]) -> Table:
    """Setting, value and reason, one line each; long values and reasons are broken."""
    made = table(["planned", "value", "why"], choices)
    for column in made.columns[1:]:
        column.justify, column.no_wrap = "left", False
    made.columns[1].max_width = _VALUE_WIDTH
    return made


class Show(Listener):
    """Shows a training: a bar while it runs, and a line for each epoch that stays."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.out = console()
        self._live = not quiet and self.out.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.out,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, visible=False)
        self._headed = False
        self._asked_at_s: float | None = None

    def __enter__(self) -> Show:
        if self._live:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._bar.stop()

    def stop_on_signals(self) -> None:
        """Let Ctrl-C, a polite kill and a terminal that is closed end a training between two steps, its state saved.

        A second Ctrl-C ends it at once; a repeated kill means the same as one, since programs that end others repeat it.
        """
        numbers = [signal.SIGINT, signal.SIGTERM]
        if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
            numbers.append(signal.SIGHUP)
        for number in numbers:
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, number: object, *_: object) -> None:
        if self._asked_at_s is None:
            self._asked_at_s = time.monotonic()
            self._tell_at_once("stopping after this step (Ctrl-C again, after a second, ends at once)")
        elif number == signal.SIGINT and time.monotonic() - self._asked_at_s >= _REPEATED_S:
            raise KeyboardInterrupt

    def _tell_at_once(self, text: str) -> None:
        """Past rich and the stream: a signal may come while this very thread writes, or holds what the bar waits for."""
        line = f"\r\x1b[2K{text}\n" if self._live else f"{text}\n"  # in place of the bar, which is drawn again below
        if not self.quiet:
            with suppress(OSError, ValueError):  # nobody reads it, or it is no file
                os.write(self.out.file.fileno(), line.encode())

    def wants_stop(self) -> bool:
        """Whether a signal has asked for it."""
        return self._asked_at_s is not None

    def message(self, text: str) -> None:
        """Print the sentence, dimmed once epochs are shown."""
        if not self.quiet:
            self.out.print(one_line(text), style="dim" if self._headed else "", markup=False)

    def planned(self, choices: Sequence[tuple[str, str, str]]) -> None:
        """Print the plan as a table."""
        if not self.quiet:
            self.out.print()
            self.out.print(plan_table(choices))
            self.out.print()

    def checked(self, done: int, total: int) -> None:
        """Move the bar of the check; a signal ends it here, since what was seen is kept anyway."""
        if self.wants_stop():
            raise KeyboardInterrupt
        self._advance("checking files", done, total)

    def mended(self, done: int, total: int) -> None:
        """Move the bar of the mending."""
        self._advance("mending", done, total)

    def step(self, done: int, total: int) -> None:
        """Move the bar of the training."""
        self._advance("training", done, total)

    def predicted(self, done: int, total: int) -> None:
        """``done`` of ``total`` pictures are predicted."""
        self._advance("predicting", done, total)

    def predicted_rows(self, done: int, total: int) -> None:
        """``done`` of ``total`` rows of a large picture are predicted."""
        self._advance("rows of pixels", done, total)

    def epoch(self, line: Epoch) -> None:
        """Print the line of an epoch."""
        if self.quiet:
            return
        if not self._headed:
            self.out.print("  epoch     loss     mIoU   pictures/s      left", style="bold")
            self._headed = True
        miou = f"{line.miou:.3f}" if line.miou is not None else "  –  "
        mark = " best" if line.best else ""
        self.out.print(
            f"{f'{line.epoch}/{line.epochs}':>7}  {line.loss:7.4f}    {miou}   {line.pictures_per_s:10.1f}  {clock(line.left_s):>8}{mark}",
            markup=False,
        )

    def _advance(self, what: str, done: int, total: int) -> None:
        if self._live:
            self._bar.update(self._task, description=what, completed=done, total=total, visible=done < total)


def clock(seconds: float) -> str:
    """Seconds as 1:05 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
