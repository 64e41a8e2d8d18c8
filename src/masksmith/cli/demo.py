"""``masksmith demo``: the whole job on data that come with the program."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from masksmith.cli import options
from masksmith.errors import EnvironmentFault

# Cells and shapes look the same whichever way up, which makes eight pictures of each.
_NUCLEI: dict[str, object] = {"budget": "2m", "augment.flip": "all"}
# Drawings are as many as one likes and all alike in style: instead of being turned by a few degrees,
# which blurs their borders, there are more of them.
_SHAPES: dict[str, object] = {
    "budget": "2m",
    "augment.flip": "all",
    "augment.rotate_deg": 0,
    "augment.scale": [1, 1],
}
_MARK = "demo.json"
_DRAWINGS = 600
# The outputs of which some are shown.
_SHOWN = ("mask", "overlay")


def command(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for everything.")] = Path(
        "demo"
    ),
    shapes: Annotated[
        bool, typer.Option("--shapes", help="Draw shapes to learn from, in place of the real cell nuclei.")
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option("--budget", metavar="TIME", help="Time to train for. Default: 2m."),
    ] = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Train on real pictures, score on others, predict, and show the result, in three minutes."""
    from masksmith import files
    from masksmith.cli import show
    from masksmith.inference.segmenter import load
    from masksmith.outputs import drawings, render
    from masksmith.recipe import Recipe
    from masksmith.report import evaluation, summary
    from masksmith.training import session

    settings = {**(_SHAPES if shapes else _NUCLEI), **({"budget": budget} if budget else {})}
    out = show.console()
    # Whatever is wrong is told before an earlier demo is gone.
    Recipe().with_settings(settings)
    data = output / "data" if shapes else nuclei()
    files.claim_folder(output, overwrite=overwrite, ours=_ours())
    files.write_text(output / _MARK, json.dumps(settings) + "\n")
    if shapes:
        drawings.write(data, count=_DRAWINGS, size=96, num_classes=4)
    out.print(f"Training a U-Net on {data}, for {settings['budget']}.\n", markup=False)
    with show.Show(quiet=quiet) as shown:
        shown.stop_on_signals()
        run = session.train(data, output / "run", settings=settings, listener=shown)
        measured = evaluation.evaluate(run.path, split="test", output=output / "test")
        segmenter = load(run.path)
        for pair in [p for p in run.read_dataset().pairs if p.split == "test"][:4]:
            prediction = segmenter.segment(pair.image)
            for word in _SHOWN:
                for ending, content in render(word, prediction).items():
                    files.write_bytes(output / "predictions" / f"{pair.name}_{ending}", content)
    out.print("\nOn test pictures, which the network has not seen", style="bold")
    out.print(
        show.table(
            ["class", "IoU", "Dice", "precision", "recall", "pixels"], summary.lines(measured), last_is_total=True
        )
    )
    out.print(
        f"\nLook at       {output / 'test' / 'samples.png'}\n"
        f"Predictions   {output / 'predictions'}\n"
        f"Try next      masksmith predict {shlex.quote(str(run.path))} PICTURE.png -o masks\n"
        f"Your own data masksmith check FOLDER, then masksmith train FOLDER -o runs/first",
        markup=False,
    )


def _ours() -> tuple[str, ...]:
    """What a demo is made of, its mark first; as for ``files.claim_folder``."""
    from masksmith.outputs import drawings
    from masksmith.report import summary
    from masksmith.run import FILES

    return (
        _MARK,
        *(f"data/{name}" for name in drawings.names(_DRAWINGS)),
        *(f"run/{name}" for name in FILES),
        *(f"test/{name}" for name in summary.EVALUATION_FILES),
        *(f"predictions/*_{word}.png" for word in _SHOWN),
    )


def nuclei() -> Path:
    """The folder of example pictures, in the package or beside it in a clone.

    Raises:
        EnvironmentFault: it is in neither place.
    """
    here = Path(__file__).resolve()
    for place in (here.parents[1] / "examples" / "nuclei", here.parents[3] / "examples" / "nuclei"):
        if place.is_dir():
            return place
    raise EnvironmentFault(
        where="examples/nuclei",
        expected="the example pictures beside the program",
        received="none",
        remedy="install masksmith again, or use masksmith demo --shapes",
    )
