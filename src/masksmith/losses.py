"""The losses, one function each, all of one shape.

    loss(logits_BKHW float32, target_BHW int64) -> scalar, the mean over the pixels that count

Rule: pixels with target 255 count in none of them. With one logit (K = 1) the target is 0 or 1
and the probability is a sigmoid; else it is a softmax over K classes. ``bce`` alone treats K logits
as K independent sigmoids. Every loss is 0 at best and finite when no pixel counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from masksmith.classes import IGNORE
from masksmith.errors import RecipeError, unknown_name
from masksmith.keys import IGNORED_BIT

Loss = Callable[[Tensor, Tensor], Tensor]

# Added to numerator and denominator of the overlap losses, in pixels: small beside any object,
# large enough that a class without pixels gives a ratio near 1 when it is not predicted.
_SMOOTH = 1.0


def cross_entropy(logits_BKHW: Tensor, target_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """-log p(true class), times the weight of that class. With one logit this is the binary cross-entropy.

    The sum is divided by the number of pixels, not of weights: a pixel of a class weighs the same in
    every batch, whatever else is in it.
    """
    if logits_BKHW.shape[1] == 1:
        if weights_K is None:
            return binary_cross_entropy(logits_BKHW, target_BHW)
        logits_BKHW = torch.cat([torch.zeros_like(logits_BKHW), logits_BKHW], dim=1)
    total = F.cross_entropy(logits_BKHW, target_BHW, weights_K, ignore_index=IGNORE, reduction="sum")
    return total / (target_BHW != IGNORE).sum().clamp(min=1)


def binary_cross_entropy(logits_BKHW: Tensor, target_BHW: Tensor) -> Tensor:
    """-(t log p + (1 - t) log(1 - p)) of a sigmoid for each logit, t one-hot for K > 1."""
    counted_B1HW = (target_BHW != IGNORE).unsqueeze(1)
    each = F.binary_cross_entropy_with_logits(logits_BKHW, _one_hot(target_BHW, logits_BKHW.shape[1]), reduction="none")
    return (each * counted_B1HW).sum() / (counted_B1HW.sum() * logits_BKHW.shape[1]).clamp(min=1)


def focal(logits_BKHW: Tensor, target_BHW: Tensor) -> Tensor:
    """-(1 - p)^2 log p of the true class (Lin et al. 2017, gamma = 2)."""
    counted = target_BHW != IGNORE
    logits = (
        torch.cat([torch.zeros_like(logits_BKHW), logits_BKHW], dim=1) if logits_BKHW.shape[1] == 1 else logits_BKHW
    )
    log_p = F.log_softmax(logits, dim=1).gather(1, target_BHW.where(counted, 0).unsqueeze(1)).squeeze(1)
    each = -((1 - log_p.exp()) ** 2) * log_p
    return (each * counted).sum() / counted.sum().clamp(min=1)


def dice(logits_BKHW: Tensor, target_BHW: Tensor) -> Tensor:
    """1 - 2 TP / (2 TP + FP + FN), softly, mean over the classes in the batch (Milletari 2016)."""
    return _overlap(logits_BKHW, target_BHW, false_positive=0.5, false_negative=0.5)


def jaccard(logits_BKHW: Tensor, target_BHW: Tensor) -> Tensor:
    """1 - TP / (TP + FP + FN), softly, mean over the classes in the batch (Rahman 2016)."""
    return _overlap(logits_BKHW, target_BHW, false_positive=1.0, false_negative=1.0)


def tversky(logits_BKHW: Tensor, target_BHW: Tensor) -> Tensor:
    """1 - TP / (TP + 0.3 FP + 0.7 FN): a miss costs more than a false alarm (Salehi 2017)."""
    return _overlap(logits_BKHW, target_BHW, false_positive=0.3, false_negative=0.7)


def lovasz(logits_BKHW: Tensor, target_BHW: Tensor) -> Tensor:
    """The convex surrogate of the Jaccard loss (Berman et al. 2018), classes in the batch."""
    counted = target_BHW != IGNORE
    target = target_BHW[counted]
    logits = logits_BKHW.movedim(1, -1)[counted]
    if target.numel() == 0:
        return logits_BKHW.sum() * 0
    if logits.shape[1] == 1:
        sign = 2.0 * target - 1.0
        return _lovasz_of_class(F.relu(1.0 - logits[:, 0] * sign), target.float())
    p = logits.softmax(dim=1)
    present = [k for k in range(p.shape[1]) if bool((target == k).any())]
    return torch.stack(
        [_lovasz_of_class((p[:, k] - (target == k).float()).abs(), (target == k).float()) for k in present]
    ).mean()


LOSSES: dict[str, Loss] = {
    "bce": binary_cross_entropy,
    "ce": cross_entropy,
    "dice": dice,
    "focal": focal,
    "jaccard": jaccard,
    "lovasz": lovasz,
    "tversky": tversky,
}


def parse(expression: str) -> list[tuple[float, str]]:
    """The weights and names of a sum like ``ce+dice`` or ``0.5*bce + 2*lovasz``.

    Raises:
        RecipeError: no such loss, or a weight that is no positive number.
    """
    terms: list[tuple[float, str]] = []
    for term in expression.split("+"):
        weight, star, name = term.strip().rpartition("*")
        if name.strip() not in LOSSES:
            raise unknown_name("loss", name.strip(), LOSSES, where=f"loss={expression}")
        try:
            number = float(weight) if star else 1.0
        except ValueError:
            number = -1.0
        if not 0 < number < float("inf"):
            raise RecipeError(
                where=f"loss={expression}",
                expected="a positive weight before *",
                received=f'"{weight}"',
                remedy="write it as in 0.5*ce+dice",
            )
        terms.append((number, name.strip()))
    return terms


def build(
    expression: str, *, overlapping: bool = False, class_weights: Sequence[float] = ()
) -> Callable[[Tensor | list[Tensor], Tensor], Tensor]:
    """The weighted sum as one function; errors as in :func:`parse`.

    ``class_weights``, one for each class, are those of the pixels in ``ce``; the overlap losses weigh
    all classes alike by themselves. With ``overlapping`` the target has a bit for each class, and each loss is its mean over the
    classes, each of them a sigmoid of its own.

    It takes the logits, or the list of them that deep supervision gives (finest first): each
    coarser one is resized to the target and weighs half as much as the one before, all weights
    together 1. A target larger than the logits ("valid" padding) is cropped in the middle.
    """
    terms = [(weight, LOSSES[name]) for weight, name in parse(expression)]
    weights_K = torch.tensor(class_weights, dtype=torch.float32) if class_weights else None
    both = {loss: weight for weight, loss in terms} if len(terms) == 2 else {}
    if weights_K is not None:
        terms = [(weight, _weighted(weights_K) if loss is cross_entropy else loss) for weight, loss in terms]

    def total(logits: Tensor | list[Tensor], target_BHW: Tensor) -> Tensor:
        if isinstance(logits, list):
            shares = [0.5**level for level in range(len(logits))]
            size = logits[0].shape[-2:]
            resized = [x if x.shape[-2:] == size else F.interpolate(x, size=size, mode="bilinear") for x in logits]
            return torch.stack(
                [share / sum(shares) * total(x, target_BHW) for share, x in zip(shares, resized, strict=True)]
            ).sum()
        height, width = logits.shape[-2:]
        top, left = (target_BHW.shape[-2] - height) // 2, (target_BHW.shape[-1] - width) // 2
        target = target_BHW[:, top : top + height, left : left + width]
        logits = logits.float()
        if overlapping:
            return torch.stack([weight * _of_layers(loss, logits, target) for weight, loss in terms]).sum()
        if both.keys() == {cross_entropy, dice} and logits.shape[1] > 1 and logits.device.type == "cpu":
            fused: Tensor = CrossEntropyAndDice.apply(logits, target, both[cross_entropy], both[dice], weights_K)
            return fused
        return torch.stack([weight * loss(logits, target) for weight, loss in terms]).sum()

    return total


class CrossEntropyAndDice(torch.autograd.Function):
    """a * ce + b * dice of a softmax from one pass over its probabilities, with the gradient written out.

    On a processor the two one after the other were a fifth of a training step of a small network.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch has no type for it
        logits_BKHW: Tensor,
        target_BHW: Tensor,
        ce: float,
        dice: float,
        weights_K: Tensor | None,
    ) -> Tensor:
        """The loss; the arguments are those of ``cross_entropy``, with the weight of either part."""
        num_classes = logits_BKHW.shape[1]
        counted = target_BHW != IGNORE
        index = target_BHW.where(counted, 0)
        log_p = logits_BKHW.log_softmax(dim=1)
        log_true = log_p.gather(1, index.unsqueeze(1)).squeeze(1)
        p, p_true = log_p.exp(), log_true.exp() * counted
        pixels = counted.float() if weights_K is None else weights_K[index] * counted
        pixels *= ce / counted.sum().clamp(min=1)
        whole = bool(counted.all())
        p_K = p.sum(dim=(0, 2, 3)) if whole else torch.einsum("bkhw,bhw->k", p, counted.float())
        tp_K = torch.bincount(index.flatten(), p_true.flatten(), num_classes)
        t_K = torch.bincount(index[counted], minlength=num_classes)
        share_K = dice * (t_K > 0) / (t_K > 0).sum().clamp(min=1)
        union_K = 0.5 * (p_K + t_K) + _SMOOTH
        by_p_K, by_tp_K = share_K * 0.5 * (tp_K + _SMOOTH) / union_K**2, -share_K / union_K
        ctx.save_for_backward(p, p_true, index, pixels, counted, by_p_K.float(), by_tp_K.float())
        ctx.whole = whole
        overlap = (share_K * (1 - (tp_K + _SMOOTH) / union_K)).sum().float()
        return overlap - (log_true * pixels).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:  # noqa: ANN401 - likewise
        """Through the softmax: p * (g - sum of g p), where g differs from class to class at the true one alone."""
        p, p_true, index, pixels, counted, by_p_K, by_tp_K = ctx.saved_tensors
        by_true = by_tp_K[index] * p_true
        mean = torch.einsum("bkhw,k->bhw", p, by_p_K) + by_true
        out = (pixels - mean).unsqueeze(1) + by_p_K.view(1, -1, 1, 1)
        out *= p
        if not ctx.whole:
            out *= counted.unsqueeze(1)
        out.scatter_add_(1, index.unsqueeze(1), (by_true - pixels).unsqueeze(1))
        return out.mul_(gradient), None, None, None, None


def _weighted(weights_K: Tensor) -> Loss:
    return lambda logits, target: cross_entropy(logits, target, weights_K.to(logits.device))


def _of_layers(loss: Loss, logits_BKHW: Tensor, bits_BHW: Tensor) -> Tensor:
    """The mean over the classes of a loss of one logit against one bit."""
    ignored = (bits_BHW & IGNORED_BIT) != 0
    each = [
        loss(logits_BKHW[:, k : k + 1], (bits_BHW >> k & 1).masked_fill(ignored, IGNORE))
        for k in range(logits_BKHW.shape[1])
    ]
    return torch.stack(each).mean()


def _overlap(logits_BKHW: Tensor, target_BHW: Tensor, *, false_positive: float, false_negative: float) -> Tensor:
    """1 - Tversky index, over the whole batch so that small objects do not make it jump."""
    num_logits = logits_BKHW.shape[1]
    counted_B1HW = (target_BHW != IGNORE).unsqueeze(1)
    p = (logits_BKHW.sigmoid() if num_logits == 1 else logits_BKHW.softmax(dim=1)) * counted_B1HW
    t = _one_hot(target_BHW, num_logits) * counted_B1HW
    tp = (p * t).sum(dim=(0, 2, 3))
    p_K, t_K = p.sum(dim=(0, 2, 3)), t.sum(dim=(0, 2, 3))
    index = (tp + _SMOOTH) / (tp + false_positive * (p_K - tp) + false_negative * (t_K - tp) + _SMOOTH)
    present = (t_K > 0).float()
    return ((1 - index) * present).sum() / present.sum().clamp(min=1)


def _one_hot(target_BHW: Tensor, num_logits: int) -> Tensor:
    """(B, K, H, W) float32; for one logit the target itself. Ignored pixels are all 0."""
    if num_logits == 1:
        return (target_BHW == 1).unsqueeze(1).float()
    classes_K = torch.arange(num_logits, device=target_BHW.device).view(1, -1, 1, 1)
    return (target_BHW.unsqueeze(1) == classes_K).float()


def _lovasz_of_class(errors_N: Tensor, truth_N: Tensor) -> Tensor:
    """Errors weighed by the growth of the Jaccard loss as they are added in falling order."""
    ordered, order = torch.sort(errors_N, descending=True)
    truth = truth_N[order]
    intersection = truth.sum() - truth.cumsum(0)
    union = truth.sum() + (1 - truth).cumsum(0)
    loss = 1.0 - intersection / union
    growth = torch.cat([loss[:1], loss[1:] - loss[:-1]])
    return torch.dot(ordered, growth)
