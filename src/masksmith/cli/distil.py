"""``masksmith distil``: one network that learns from an ensemble, or from a larger one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from masksmith.cli import options, train
from masksmith.errors import InputError


def command(
    teacher: Annotated[Path, typer.Argument(metavar="RUN", help="Run, or folder of folds, to learn from.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DATA] [KEY=VALUE]…", help="Other pictures than those of RUN, then settings."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="NEW", help="Run folder to make.")] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="TIME", help="Time to train for. Default: 10m.")
    ] = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Train one network on the masks and on the probabilities of a trained one, or of all folds."""
    if output is None:
        raise InputError(
            where="-o/--output", expected="a run folder to make", received="none", remedy="give one, as in -o runs/one"
        )
    data, settings = train.split_words(words or [], {} if budget is None else {"budget": budget})

    from masksmith.cli import show
    from masksmith.training import distil, session, state

    base = distil.recipe_of(teacher)
    data = distil.pictures_of(teacher) if data is None else data
    with show.Show(quiet=quiet) as shown:
        shown.stop_on_signals()
        try:
            run = session.train(data, output, settings=settings, base=base, overwrite=overwrite, listener=shown)
        except state.Saved:
            shown.message(f"saved; go on with: masksmith train -o {shlex.quote(str(output))} --resume")
            raise
    train.print_run(run.path, quiet=quiet)
