"""``masksmith train``: from a data set to a run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
import yaml

from masksmith.cli import options
from masksmith.errors import InputError, RecipeError

_FRACTIONS = ("data.val_fraction", "data.test_fraction")


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATA] [KEY=VALUE]…",
            help="Folder of pictures and masks, then settings such as model.depth=4 loss=ce+dice.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="RUN", help="Run folder to make.")] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", metavar="TIME", help="Time to train for, such as 90s, 5m, 2h. Default: 10m."),
    ] = None,
    epochs: Annotated[
        str | None, typer.Option("--epochs", metavar="N", help="Length in epochs, in place of a budget.")
    ] = None,
    steps: Annotated[
        str | None, typer.Option("--steps", metavar="N", help="Length in steps, in place of a budget.")
    ] = None,
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="Recipe to start from (YAML).")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Run or model file whose network and weights to start from."),
    ] = None,
    images: options.Images = None,
    masks: options.Masks = None,
    classes: options.Classes = None,
    ignore: options.Ignore = None,
    skip_unmatched: options.Skip = False,
    layout: options.Layout = None,
    snap: options.Snap = False,
    instances: options.Instances = False,
    border: options.Border = None,
    overlapping: options.Overlapping = False,
    split: options.SplitTable = None,
    group_by: options.GroupBy = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the training in RUN; --budget +10m, --steps +500 or --epochs +5 extends it."
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    keys: Annotated[bool, typer.Option("--keys", help="List every setting with its default, and end.")] = False,
) -> None:
    """Train a U-Net on a folder of pictures and masks."""
    from masksmith import recipe

    if keys:
        _print_keys()
        return
    data, settings = split_words(
        words or [],
        options.data_settings(images, masks, classes, ignore, skip_unmatched),
        options.layout_settings(layout, snap, instances, border, overlapping, split, group_by),
        {k: v for k, v in (("budget", budget), ("epochs", epochs), ("steps", steps)) if v is not None},
    )
    output = _required(output)
    if resume and (data is not None or recipe_file is not None or start is not None or overwrite):
        raise _resume_alone(output, data or recipe_file or start or "--overwrite")
    base = recipe.load(recipe_file) if recipe_file is not None else None
    # Wrong keys are told before torch is loaded.
    (base or recipe.Recipe()).with_settings({k: _without_plus(v) for k, v in settings.items()})

    from masksmith.cli import show

    with show.Show(quiet=quiet) as shown:
        shown.stop_on_signals()  # now: to load torch takes seconds, in which a signal would end it without a word
        from masksmith.run import Run
        from masksmith.training import session, state

        try:
            if resume:
                run = session.resume(output, settings=settings, listener=shown)
            else:
                run = session.train(
                    data,
                    output,
                    settings=settings,
                    base=base,
                    start=start,
                    overwrite=overwrite,
                    started=options.process_start(),
                    listener=shown,
                )
        except KeyboardInterrupt as stop:
            saved = isinstance(stop, state.Saved)
            # A second signal, or one while a resumed training looks at its data, leaves what was saved before.
            if saved or (Run(output).has_state and not overwrite):
                place = shlex.quote(str(output))
                shown.message(f"{'saved; ' if saved else ''}go on with: masksmith train -o {place} --resume")
            raise
    print_run(run.path, quiet=quiet)


def print_run(run: Path, *, quiet: bool) -> None:
    """The validation table of a run, where its files are, and the next command."""
    from masksmith.cli import show
    from masksmith.metrics import from_dict
    from masksmith.report import summary
    from masksmith.run import Run

    measured = from_dict(Run(run).read_model().figures["validation"])
    out = show.console()
    out.print("\nvalidation", style="bold")
    out.print(
        show.table(
            ["class", "IoU", "Dice", "precision", "recall", "pixels"], summary.lines(measured), last_is_total=True
        )
    )
    if not quiet:
        out.print(
            f"\nRun folder: {run}\nLook at {run / 'samples.png'}; {run / 'NEXT.md'} says what to do next.", markup=False
        )


def _required(output: Path | None) -> Path:
    if output is not None:
        return output
    raise InputError(
        where="-o/--output",
        expected="a run folder to make",
        received="none",
        remedy="give one, as in -o runs/first",
    )


def _resume_alone(output: Path, received: object) -> InputError:
    return InputError(
        where="--resume",
        expected="the run alone, which knows its data and recipe",
        received=str(received),
        remedy=f"write masksmith train -o {shlex.quote(str(output))} --resume",
    )


def split_words(words: list[str], *options: Mapping[str, object]) -> tuple[Path | None, dict[str, object]]:
    """The data folder, which may come first, and the settings, also those that are given as options.

    Raises:
        RecipeError: a setting that is given twice, or in vain.
    """
    from masksmith import recipe

    first = bool(words) and ("=" not in words[0] or Path(words[0]).exists())
    rest = words[first:]
    # As text, since "+500" is no longer "so much more" when it is a number.
    more = [word.partition("=") for word in rest if re.fullmatch(r"(budget|epochs|steps)=\+.*", word)]
    settings = recipe.parse_settings(rest) | {key: value for key, _, value in more}
    for given in options:
        for key in sorted(given.keys() & settings.keys()):
            raise RecipeError(
                where=key,
                expected="each key once",
                received=f"{settings[key]}, and {given[key]} as an option",
                remedy="leave one of them out",
            )
        settings |= given
    if settings.get("data.folds") is not None:
        refuse_fractions(settings)
    return (Path(words[0]) if first else None), settings


def refuse_fractions(settings: Mapping[str, object]) -> None:
    """No fraction is heeded where folds are dealt out.

    Raises:
        RecipeError: there is one.
    """
    given = [f"{key}={settings[key]}" for key in _FRACTIONS if key in settings]
    if given:
        raise RecipeError(
            where="folds",
            expected="the folds alone, which stand in place of the two fractions",
            received=", ".join(given),
            remedy="leave it out; a test part that folders or the table of --split name stays out of the folds",
        )


def as_words(data: Path | None, recipe_file: Path | None, settings: Mapping[str, object]) -> str:
    """What says the same to another command, as a shell reads it."""
    words = [str(data)] if data is not None else []
    words += ["--recipe", str(recipe_file)] if recipe_file is not None else []
    words += [f"{key}={_shown(value)}" for key, value in settings.items()]
    return shlex.join(words)


def _shown(value: object) -> str:
    """A value as YAML, on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    return str(yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10**6)).splitlines()[0]


def _without_plus(value: object) -> object:
    return value[1:] if isinstance(value, str) and value.startswith("+") else value


def _print_keys() -> None:
    from masksmith import recipe
    from masksmith.cli import show

    defaults = recipe.Recipe().model_dump()
    rows = []
    for key, about in recipe.keys().items():
        section, _, name = key.rpartition(".")
        value = defaults[section][name] if section else defaults[key]
        rows.append([key, _shown(value) if value not in (None, ()) else "", about])
    made = show.table(["setting", "default", "what"], rows)
    made.columns[2].justify, made.columns[2].no_wrap = "left", False
    show.console().print(made)
