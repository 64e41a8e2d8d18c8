"""``masksmith predict``: masks for pictures of any size, few or many."""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from masksmith.cli import cleaning, options, shares, targets
from masksmith.errors import InputError, PartialFault, RecipeError, one_line, unknown_name
from masksmith.limits import MAX_WINDOW_BYTES

if TYPE_CHECKING:
    from masksmith.cli.show import Show
    from masksmith.cli.writing import Wanted, Writer
    from masksmith.inference.answering import Answering
    from masksmith.inference.pictures import Chosen
    from masksmith.inference.prediction import Prediction
    from masksmith.outputs import Shaping

_SPLITS: dict[str, Literal["components", "watershed"]] = {"components": "components", "watershed": "watershed"}

_Pictures = Annotated[
    list[str],
    typer.Argument(
        metavar="PICTURES…",
        help="Pictures, folders of them, videos, patterns, @LIST for a file of paths, - for paths on standard input.",
    ),
]
_Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder for what is written.")]
_Save = Annotated[
    list[str] | None,
    typer.Option(
        "--save",
        metavar="WHAT",
        help="Comma-separated names of outputs, repeatable; the page Outputs lists them all. Default: mask,overlay.",
    ),
]
_Recursive = Annotated[
    bool, typer.Option("--recursive", help="Search folders inside folders too; the tree is kept below DIR.")
]
_Every = Annotated[int, typer.Option("--every", metavar="N", min=1, help="Of a video, each Nth frame.")]
_Skip = Annotated[
    bool, typer.Option("--skip-existing", help="Write only what is not there yet: go on where an earlier call ended.")
]
_Shard = Annotated[
    str | None, typer.Option("--shard", metavar="K/N", help="Predict part K of N of the pictures, as a job of many.")
]
_Simplify = Annotated[
    float, typer.Option("--simplify", metavar="PX", min=0, help="Outlines may lie so far from the mask's border.")
]
_MinArea = Annotated[
    int, typer.Option("--min-area", metavar="PX", min=0, help="Leave smaller regions out of outlines and lists.")
]
_MinObject = Annotated[
    int | None, typer.Option("--min-object", metavar="PX", min=0, help="Remove smaller regions from the mask.")
]
_FillHoles = Annotated[
    int | None, typer.Option("--fill-holes", metavar="PX", min=0, help="Fill smaller holes in regions of the mask.")
]
_Threshold = Annotated[
    list[str] | None,
    typer.Option("--threshold", metavar="CLASS=P", help="Of two classes, CLASS from the probability P on; repeatable."),
]
_Instances = Annotated[
    str, typer.Option("--instances", metavar="HOW", help="Tell things apart by components or watershed.")
]
_Tta = Annotated[
    str,
    typer.Option("--tta", metavar="VIEWS", help="Mean over mirror images: none, mirror (2 ×) or all (8 × the time)."),
]
_MaxMemory = Annotated[
    str | None,
    typer.Option("--max-memory", metavar="SIZE", help="For the program and its windows, as 2GB."),
]
_Tile = Annotated[
    int | None,
    typer.Option("--tile", metavar="PX", min=1, help="Side of what each window of a large picture answers for."),
]
_Overlap = Annotated[
    int | None,
    typer.Option("--overlap", metavar="PX", min=0, help="Pixels around it; fewer than the network sees are faded."),
]
_With = Annotated[
    list[Path] | None,
    typer.Option("--with", metavar="RUN", help="The mean with the network of this run too; repeatable."),
]
_Runtime = Annotated[
    str, typer.Option("--runtime", metavar="NAME", help="auto, int8, or a name that `masksmith runtimes` lists.")
]


def command(
    run: options.RunFolder,
    pictures: _Pictures,
    output: _Output = None,
    save: _Save = None,
    recursive: _Recursive = False,
    every: _Every = 1,
    skip_existing: _Skip = False,
    shard: _Shard = None,
    simplify: _Simplify = 0.0,
    min_area: _MinArea = 0,
    min_object: _MinObject = None,
    fill_holes: _FillHoles = None,
    threshold: _Threshold = None,
    cleanup: options.Cleanup = "auto",
    instances: _Instances = "components",
    others: _With = None,
    tta: _Tta = "none",
    max_memory: _MaxMemory = None,
    tile: _Tile = None,
    overlap: _Overlap = None,
    runtime: _Runtime = "auto",
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Write masks and other outputs for pictures, and print the share of each class.

    Pictures that cannot be used are told at the end; the exit code is then 5.
    """
    if output is None:
        raise InputError(
            where="-o/--output", expected="a folder for the masks", received="none", remedy="give one, as in -o masks"
        )
    words = _words(save or ["mask,overlay"], skip_existing)
    part, shaping = _part(shard), _shaping(simplify, min_area, instances)
    if skip_existing and overwrite:
        raise _contradiction("--skip-existing and --overwrite")

    from masksmith import files
    from masksmith.cli.writing import Wanted
    from masksmith.inference import pictures as choosing

    found = choosing.find(pictures, recursive=recursive, every=every, output=output)
    loaded = _load([run, *(others or [])], device, tta, max_memory, runtime)
    loaded.cut(tile, overlap)
    table = loaded.model.table
    # What was chosen for one network is not for the mean of several.
    kept = cleaning.kept(run, loaded, "none" if others else cleanup, quiet)
    given = cleaning.thresholds(threshold or [], table.names)
    cleaned = cleaning.settings(kept, min_object, fill_holes, given, table)
    wanted = Wanted(words, output, table, shaping, cleaned, "-of-".join(map(str, part)) if shard else "", skip_existing)
    _refuse_one_name(found, wanted)
    targets.refuse_unsafe(output, [(one.source, target) for one in found for target in wanted.targets(one)])
    mine = choosing.share(found, *part) if shard else found
    todo = _todo(mine, wanted, overwrite=overwrite)
    files.make_folder(output)
    files.check_writable(output)
    targets.refuse_alike(output, [target for one in found for target in wanted.targets(one)])
    if runtime == "auto":
        loaded.use("auto", choosing.pixels(todo))
    with files.held(output):
        writer = _work(loaded, todo, wanted, quiet)
    _print(writer, len(mine) - len(todo), quiet)
    for fault in writer.faults[:-1]:
        typer.echo(f"masksmith: {one_line(str(fault))}", err=True)
    for last in writer.faults[-1:]:
        raise PartialFault(where=last.where, expected=last.expected, received=last.received, remedy=last.remedy)


def _load(runs: Sequence[Path], device: str, tta: str, max_memory: str | None, runtime: str) -> Answering:
    from masksmith.inference import segmenter

    room = MAX_WINDOW_BYTES if max_memory is None else options.free_bytes(max_memory)
    loaded = segmenter.load(runs, device=device, tta=tta, most_bytes=room)
    if runtime != "auto":  # a name that is wrong is told before any work
        loaded.use(runtime)
    return loaded


def _work(loaded: Answering, todo: Sequence[Chosen], wanted: Wanted, quiet: bool) -> Writer:
    """Read, predict and write at the same time; a signal ends it between two pictures."""
    from masksmith.cli import show
    from masksmith.cli.writing import Writer
    from masksmith.inference.stream import segment_many

    writer = Writer(wanted)
    try:
        with show.Show(quiet=quiet) as shown, _signals(shown), writer:
            usual = [chosen for chosen in todo if not chosen.is_large]
            answers = segment_many(loaded, [chosen.source for chosen in usual])
            untold = True
            for done, chosen in enumerate(usual, 1):
                answer = next(answers)[1]
                untold = untold and not _tell_seams(loaded, chosen, answer, shown)
                writer.put(chosen, answer)
                del answer  # or it would be held until the next is there
                shown.predicted(done, len(usual))
                if shown.wants_stop():
                    raise KeyboardInterrupt
        with show.Show(quiet=quiet) as shown, _signals(shown):
            for chosen in todo:
                if chosen.is_large:
                    shown.message(
                        f"{chosen.shown} is predicted part by part: its mask alone, as a TIFF{cleaning.left_out(wanted.cleanup)}"
                    )
                    for word in writer.put_large(chosen, _large(loaded, chosen, wanted, shown)):
                        shown.message(f"{chosen.shown} is left out of {word}, which is made of whole masks")
        writer.finish()
    except (KeyboardInterrupt, Exception):
        _keep(writer, quiet)
        raise
    return writer


def _keep(writer: Writer, quiet: bool) -> None:
    """After an error: nothing that is done is lost, and what there is is told."""
    writer.keep()
    if quiet or not writer.rows:
        return
    if not writer.wanted.collectors():
        word = ". The same command with --skip-existing goes on."
    elif writer.common:
        word = f". The pictures until here are in {' and '.join(writer.common)}."
    else:
        word = ", without a file about all pictures."
    with suppress(OSError):  # nobody may read this any more; the error is what is to be told
        typer.echo(f"What is written stays{word}")


def _tell_seams(loaded: Answering, chosen: Chosen, answer: Prediction | InputError, shown: Show) -> bool:
    """Say once, of the first picture that is cut, what windows change that fade into each other; whether it was."""
    if isinstance(answer, InputError):
        return False
    conforming = loaded.model.preprocessing.conform(answer.pixels_HWC, chosen.shown, answer.valid_HW)
    share = loaded.difference(conforming)
    if share is None:
        return False
    shown.message(
        f"windows fade into each other, since the network looks at more than a window: in the middle of {chosen.shown}, "
        f"cut in four, {100 * share:.2g} % of the pixels get another class than in one piece"
    )
    return True


def _large(loaded: Answering, chosen: Chosen, wanted: Wanted, shown: Show) -> Mapping[str, float] | InputError:
    """The shares in a picture larger than memory, its mask being written; a signal ends it after some rows."""

    def told(done: int, total: int) -> None:
        shown.predicted_rows(done, total)
        if shown.wants_stop():
            raise KeyboardInterrupt

    (target,) = wanted.targets(chosen)
    try:  # what exists was refused or left out, or is to be replaced
        return loaded.segment_large(
            str(chosen.source), target, overwrite=True, thresholds=wanted.cleanup.thresholds, progress=told
        )
    except InputError as fault:
        return fault


@contextmanager
def _signals(shown: object) -> Iterator[None]:
    """Signals ask for a stop, and mean afterwards what they meant before."""
    from masksmith.cli.show import Show

    numbers = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}  # Windows has no third
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        if isinstance(shown, Show):
            shown.stop_on_signals()
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _words(save: Sequence[str], skip_existing: bool) -> list[str]:
    from masksmith.outputs import COLLECTED, WORDS

    words = options.listed(save)
    for word in words or [",".join(save)]:
        if word not in WORDS:
            raise unknown_name("output", word, WORDS, where="--save")
        if skip_existing and word in COLLECTED:  # it would hold only what was left to do
            raise _contradiction(f"--skip-existing and --save {word}, which is one file about all pictures")
    return words


def _part(shard: str | None) -> tuple[int, int]:
    if shard is None:
        return 1, 1
    parts = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", shard)
    number, count = (int(parts[1]), int(parts[2])) if parts else (0, 0)
    if not 1 <= number <= count:
        raise RecipeError(
            where="--shard",
            expected="a part and how many there are",
            received=f'"{shard}"',
            remedy="write 1/8, 2/8 and so on to 8/8",
        )
    return number, count


def _shaping(simplify: float, min_area: int, instances: str) -> Shaping:
    from masksmith.outputs import Shaping

    if not math.isfinite(simplify):
        raise RecipeError(where="--simplify", expected="pixels", received=str(simplify), remedy="write 1.5")
    if instances not in _SPLITS:
        raise unknown_name("way to tell things apart", instances, _SPLITS, where="--instances")
    return Shaping(simplify, min_area, _SPLITS[instances])


def _refuse_one_name(found: Sequence[Chosen], wanted: Wanted) -> None:
    """A picture's name may end as that of another with a class does."""
    seen: set[Path] = set()
    for target in (target for chosen in found for target in wanted.targets(chosen)):
        if target in seen:
            raise InputError(
                where=target,
                expected="a file of its own for each picture and class",
                received="one name for two",
                remedy="predict the pictures into two folders",
            )
        seen.add(target)


def _todo(mine: Sequence[Chosen], wanted: Wanted, *, overwrite: bool) -> list[Chosen]:
    """What is left to do; without a word on it nothing that exists is replaced."""
    if overwrite:
        return list(mine)
    if wanted.keep:
        return [chosen for chosen in mine if wanted.missing(chosen)]
    names = [name for collector in wanted.collectors().values() for name in collector.finish()]
    common = [wanted.common(name, whole=whole) for name in names for whole in (True, False)]
    for target in (*(target for chosen in mine for target in wanted.targets(chosen)), *common):
        if targets.is_taken(target):
            raise InputError(
                where=target,
                expected="no file of that name",
                received="one that exists",
                remedy=f"give another output folder{'' if common else ', --skip-existing to go on,'} or --overwrite to replace it",
            )
    return list(mine)


def _print(writer: Writer, skipped: int, quiet: bool) -> None:
    wanted = writer.wanted
    if writer.rows:
        shares.tell(writer.rows, wanted.table.names, quiet=quiet)
    if quiet:
        return
    if skipped:
        typer.echo(f"{_counted(skipped)} left out: what --save names is there already")
    if writer.kept:
        typer.echo(f"{writer.kept:,} file{'' if writer.kept == 1 else 's'} of the others stayed as they were")
    if writer.rows:
        typer.echo(f"\n{_counted(len(writer.rows))}: {', '.join(writer.written)} in {wanted.folder}")
    elif not skipped and not writer.faults:
        typer.echo("no pictures in this part")


def _counted(number: int) -> str:
    return f"{number:,} picture{'' if number == 1 else 's'}"


def _contradiction(both: str) -> RecipeError:
    return RecipeError(where="command line", expected="one of the two", received=both, remedy="leave one out")
