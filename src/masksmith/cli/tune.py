"""``masksmith tune``: choose on the validation part how a run's masks are cleaned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masksmith.cli import options

if TYPE_CHECKING:
    from masksmith.inference.tuning import Tuned


def command(
    run: options.RunFolder,
    data: Annotated[
        Path | None,
        typer.Argument(metavar="[DATA]", help="Folder of pictures and masks; without it those of the training."),
    ] = None,
    images: options.Images = None,
    masks: options.Masks = None,
    skip_unmatched: options.Skip = False,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Choose thresholds, the least region and the holes to fill, where that helps.

    Half of the validation pictures choose, the other half judges, both ways.
    """
    from masksmith.cli import show
    from masksmith.recipe import Recipe
    from masksmith.report import tuning
    from masksmith.run import Run

    settings = Recipe().with_settings(options.data_settings(images, masks, None, None, skip_unmatched)).data
    with show.Show(quiet=quiet) as shown:
        tuned = tuning.tune(run, data, settings=settings, device=device, overwrite=overwrite, listener=shown)
    _print(tuned, Run(run).cleanup_file)


def _print(tuned: Tuned, file: Path) -> None:
    from masksmith.cli import show
    from masksmith.report.tuning import iou_by_class

    out = show.console()
    before, after = (_figure(one.mean["iou"]) for one in (tuned.before, tuned.after))
    if not tuned.is_worth:
        out.print(
            f"Nothing is kept: on pictures that had no part in the choice the mean IoU is {before} without "
            f"cleaning and {after} with it. {_counted(tuned)}"
        )
        return
    thresholds = tuned.settings.thresholds
    rows = [
        [name, f"{thresholds[name]:g}" if name in thresholds else "–", _figure(old), _figure(new)]
        for name, old, new in iou_by_class(tuned.before, tuned.after)
    ]
    header = ["class", "threshold", "IoU before", "after"]
    out.print(show.table(header, [*rows, ["mean", "", before, after]], last_is_total=True))
    regions, holes = tuned.settings.min_object_px, tuned.settings.fill_holes_px
    out.print(f"regions below {regions} px removed" if regions else "regions stay as they are")
    out.print(f"holes up to {holes} px filled" if holes else "holes stay as they are")
    out.print(f"mean IoU {before} → {after}. {_counted(tuned)}", style="bold")
    out.print(f"\nKept in {file}: predict and evaluate clean so; --cleanup none leaves it out.")


def _counted(tuned: Tuned) -> str:
    return f"Chosen on one half of {tuned.pictures} pictures and judged on the other, both ways."


def _figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
