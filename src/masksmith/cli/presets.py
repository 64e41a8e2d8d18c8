"""``masksmith presets``: the named networks."""

from __future__ import annotations


def command() -> None:
    """List the named networks with their parameter counts."""
    from masksmith.cli import show
    from masksmith.models import presets

    rows = [
        [name, f"{presets.build(name).num_parameters:,}", f"{p.in_channels} → {p.num_classes}", p.about]
        for name, p in presets.PRESETS.items()
    ]
    made = show.table(["preset", "parameters", "in → out", "what it is"], rows)
    made.columns[3].justify, made.columns[3].no_wrap = "left", False
    out = show.console()
    out.print(made)
    out.print("\nUse one with: masksmith train DATA -o RUN model.preset=classic", markup=False)
