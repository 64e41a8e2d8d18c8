"""Start a training from the weights of another run or model file.

Rule: what is taken over is said, and what does not fit is an error; nothing is left out silently.
The new run does not need the other one any more as soon as it has begun.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from masksmith import modelfile
from masksmith.errors import RecipeError, RunError, listed
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import ModelSettings, Recipe

# They follow from the new data, or are replaced by the weights that are taken over.
_NOT_TAKEN = {"in_channels", "num_classes", "pretrained"}
# Settings of the network that have no weights.
_FREE = {"dropout"}


@dataclass(frozen=True)
class Start:
    """The run or model file to start from."""

    path: Path
    model: ModelFile

    def settle(self, recipe: Recipe) -> Recipe:
        """The recipe with the architecture of the other network.

        Raises:
            RecipeError: settings of the network that contradict it.
        """
        theirs = self._arguments()
        settings = recipe.model
        asked = {k: v for k, v in settings.overrides().items() if k in settings.model_fields_set and k not in _FREE}
        if "preset" in settings.model_fields_set:
            asked["preset"], theirs["preset"] = settings.preset, self.model.recipe.model.preset
        against = {key: v for key, v in asked.items() if _plain(v) != _plain(theirs.get(key))}
        if against:
            raise RecipeError(
                where=", ".join(f"model.{key}={_shown(value)}" for key, value in against.items()),
                expected=f"the network of {self.path}, with "
                + ", ".join(f"model.{key}={_shown(theirs.get(key))}" for key in against),
                received="settings of another network beside --from",
                remedy="leave them out, or train without --from",
            )
        free = {k: v for k, v in settings.overrides().items() if k in _FREE}
        return recipe.model_copy(update={"model": self._settings(free)})

    def load(self, network: UNet, names: Sequence[str]) -> str:
        """Put the weights into ``network``, made for the classes ``names``; what was taken over, in a sentence.

        Raises:
            RunError: the weights are not those of such a network.
        """
        ours, theirs = network.state_dict(), self.model.weights
        if ours.keys() != theirs.keys():
            odd = sorted(ours.keys() ^ theirs.keys())
            raise self._other(f"{'no' if odd[0] in ours else 'a surplus'} {odd[0]}")
        rows = _matching(names, self.model.table.names)
        if network.num_classes < len(names) and 1 not in rows:
            rows = {}  # one logit stands for the second class; the first is whatever that is not
        adapted = False
        with torch.no_grad():
            for name, mine in ours.items():
                its = theirs[name].to(mine.device)
                if name.startswith(("head.", "deep_heads.")):
                    taken = self._head(mine, its, network, rows)
                elif mine.shape == its.shape:
                    taken = its
                else:
                    taken, adapted = self._first(name, mine, its, network), True
                mine.copy_(taken)
        return self._said(network, names, rows, adapted=adapted)

    def _head(self, mine: Tensor, its: Tensor, network: UNet, rows: Mapping[int, int]) -> Tensor:
        """The rows of classes that both have; the others as they are."""
        # With a stem there are stem² channels for each class, side by side.
        group = mine.shape[0] // network.num_classes
        if its.shape != (self._channels("num_classes") * group, *mine.shape[1:]):
            raise self._other(f"a last convolution of shape {tuple(its.shape)}")
        its_K, mine_K = (t.reshape(-1, group, *t.shape[1:]) for t in (its, mine))
        if len(its_K) < len(self.model.table):  # one logit: the first class is zero, the second it
            its_K = torch.cat([torch.zeros_like(its_K), its_K])
        if network.num_classes == 1 and 1 in rows:
            # One logit says how much more the second class is than the first, or than all others.
            others = [row for index, row in enumerate(its_K) if index != rows[1]]
            first = its_K[rows[0]] if 0 in rows else sum(others, torch.zeros_like(its_K[0])) / max(1, len(others))
            mine_K = (its_K[rows[1]] - first).unsqueeze(0)
        elif rows:
            mine_K = torch.stack([its_K[rows[k]] if k in rows else row for k, row in enumerate(mine_K)])
        return mine_K.reshape(mine.shape)

    def _first(self, name: str, mine: Tensor, its: Tensor, network: UNet) -> Tensor:
        """A first convolution for other channels: the mean over its own, scaled to the same sum, as timm does."""
        before, now = self._channels("in_channels"), network.in_channels
        group = its.shape[1] // max(1, before) if its.ndim == 4 else 0
        wanted = (its.shape[0], now * group, *its.shape[2:])
        if not group or before == now or its.shape[1] != before * group or mine.shape != wanted:
            raise self._other(f"{name} of shape {tuple(its.shape)} where {tuple(mine.shape)} is needed")
        # Channel c * group + j is pixel j of a block of pixels that are channels here (pixel_unshuffle).
        mean = its.reshape(-1, before, group, *its.shape[2:]).mean(dim=1) * (before / now)
        return mean.repeat(1, now, 1, 1)

    def _channels(self, key: str) -> int:
        return int(self._arguments()[key])

    def _arguments(self) -> dict[str, Any]:
        """All arguments of the other network; its widths both ways, as a list and as depth and width."""
        defaults = {a.name: a.default for a in inspect.signature(UNet).parameters.values()}
        if self.model.network.keys() - defaults.keys():
            raise ValueError(listed(sorted(self.model.network.keys() - defaults.keys())))
        given = defaults | dict(self.model.network)
        if given["channels"] is not None:
            return given | {"depth": len(given["channels"]), "width": given["channels"][0]}
        widths = [given["width"] * 2**level for level in range(given["depth"])]
        return given | {"channels": None if given["encoder"] else widths}

    def _settings(self, free: Mapping[str, object]) -> ModelSettings:
        """The other network as settings, each written out: a preset may change with a later version."""
        arguments = self._arguments() | dict(free)
        # Widths stand in one of the two ways.
        twice = {"depth", "width"} if self.model.network.get("channels") is not None else {"channels"}
        known = {k: v for k, v in arguments.items() if k in ModelSettings.model_fields and k not in _NOT_TAKEN | twice}
        known["norm"] = known["norm"] or "none"
        return ModelSettings.model_validate({"preset": self.model.recipe.model.preset, **known})

    def _said(self, network: UNet, names: Sequence[str], rows: Mapping[int, int], *, adapted: bool) -> str:
        first = (
            f", the first convolution adapted from {self._channels('in_channels')} to {network.in_channels} channels"
        )
        taken = [names[k] for k in sorted(rows)]
        new = [name for name in names if name not in taken]
        gone = [name for k, name in enumerate(self.model.table.names) if k not in rows.values()]
        return (
            f"from {self.path}: all weights{first if adapted else ''}; "
            f"classes taken over: {listed(taken, 8) or 'none'}"
            + (f"; new: {listed(new, 8)}" if new else "")
            + (f"; not needed: {listed(gone, 8)}" if gone else "")
        )

    def _other(self, received: str) -> RunError:
        return RunError(
            where=self.path,
            expected="the weights of the network that its file describes",
            received=received,
            remedy="use the masksmith version that wrote it, or train without --from",
        )


def read(path: Path) -> Start:
    """The run or model file at ``path``.

    Raises:
        RunError: not there, not one of ours, or damaged.
    """
    start = Start(path, modelfile.read(path))
    try:
        start.settle(Recipe())
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise start._other(f"a network that this version does not know ({str(error).splitlines()[0]})") from error
    return start


def _matching(ours: Sequence[str], theirs: Sequence[str]) -> dict[int, int]:
    """Our class index -> theirs of the same name, whatever its case."""
    found = {name.casefold(): index for index, name in reversed(list(enumerate(theirs)))}
    return {k: found[name.casefold()] for k, name in enumerate(ours) if name.casefold() in found}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(" ", "")
