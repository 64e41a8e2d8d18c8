"""``masksmith runtimes``: how fast each runtime is here for a trained network, and which is taken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from masksmith.inference.runtimes.measuring import Measured


def command(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="Run folder, folder of `masksmith folds` (its first network), or model file."
        ),
    ],
    size: Annotated[
        int, typer.Option("--size", metavar="PX", min=32, max=2048, help="Side of the window that is measured.")
    ] = 512,
) -> None:
    """Time the installed runtimes on a made window, compare their answers, and say which is taken."""
    from masksmith import modelfile
    from masksmith.cli import show
    from masksmith.inference import runtimes
    from masksmith.inference.runtimes import choosing, measuring
    from masksmith.planning import probe

    run = _first(run)
    model = modelfile.read(run)
    network, device = model.build(), probe.device()
    probe.place(network, device)
    out = show.console()
    graph, unusable = _int8_graph(run, model.checksum)
    setup = runtimes.Setup(probe.precision("auto", device), overlapping=model.table.overlapping, quantized=graph)
    out.print(f"Measuring on a window of {size}×{size} pixels; starting the runtimes takes up to a minute.")
    window = measuring.made_window(network, size, size)
    lines = measuring.measure(network, setup, window, eager=True)
    known = choosing.speeds(lines, window)
    choosing.remember(network, setup, known)
    taken = choosing.best(known)
    header = ["runtime", "ms", "× eager", "start s", "difference", "equal pixels", ""]
    out.print(show.table(header, [_row(line, lines[0], taken) for line in lines if line.fault is None]))
    for line in lines:
        if line.fault is not None:
            out.print(f"{line.name} is not taken: {line.fault}")
    if unusable:
        out.print(f"int8 is not measured: {unusable}", markup=False)
    for name in runtimes.RUNTIMES:
        if lacking := runtimes.missing(name):
            out.print(f"{name} is not installed: pip install {' '.join(lacking)}")


def _first(run: Path) -> Path:
    """The run, of folds the first."""
    from masksmith.inference import ensemble

    if ensemble.is_ensemble(run):
        return ensemble.fold_folders(run, ensemble.read_mark(run)["folds"])[0]
    return run


def _int8_graph(run: Path, checksum: str) -> tuple[bytes | None, str]:
    """The int8 graph beside the model file if there is one, or why it cannot be used."""
    from masksmith.errors import MasksmithError
    from masksmith.inference import runtimes
    from masksmith.inference.runtimes import int8

    path = int8.beside(run)
    if not path.exists() or runtimes.missing(runtimes.int8_name()):
        return None, ""
    try:
        return int8.read(path, checksum), ""
    except MasksmithError as error:
        return None, str(error)


def _row(line: Measured, eager: Measured, taken: str) -> list[str]:
    return [
        line.name,
        f"{line.ms:.1f}",
        f"{eager.ms / line.ms:.2f}",
        f"{line.start_s:.1f}",
        f"{line.difference:.1e}",
        f"{line.equal:.2%}",
        "taken" if line.name == taken else "",
    ]
