"""Pins down losses: values computed by hand, what is ignored has no influence, and second opinions agree."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from masksmith import losses
from masksmith.classes import IGNORE
from masksmith.errors import RecipeError
from masksmith.losses import LOSSES

each_loss = pytest.mark.parametrize("name", LOSSES)
each_head = pytest.mark.parametrize("num_logits", [1, 2, 4])


def made(num_logits: int, seed: int = 0, ignored: float = 0.0) -> tuple[Tensor, Tensor]:
    """Logits (2, K, 6, 7) and a target with every class; a share of it ignored."""
    rng = torch.Generator().manual_seed(seed)
    target = torch.arange(84).reshape(2, 6, 7) % max(2, num_logits)
    target = target.flatten()[torch.randperm(84, generator=rng)].reshape(2, 6, 7)
    target[torch.rand(2, 6, 7, generator=rng) < ignored] = IGNORE
    return torch.randn(2, num_logits, 6, 7, generator=rng) * 2, target


def perfect(target: Tensor, num_logits: int) -> Tensor:
    if num_logits == 1:
        return (target.float() * 2 - 1).unsqueeze(1) * 50
    return (F.one_hot(target, num_logits).movedim(-1, 1).float() * 2 - 1) * 50


@each_loss
@each_head
def test_perfect_prediction_costs_nothing_and_a_wrong_one_does(name: str, num_logits: int) -> None:
    _, target = made(num_logits)
    right = perfect(target, num_logits)
    assert LOSSES[name](right, target).item() == pytest.approx(0, abs=1e-5)
    assert LOSSES[name](-right, target).item() > 0.4


@each_loss
@each_head
def test_every_loss_is_one_number_that_falls_along_its_gradient(name: str, num_logits: int) -> None:
    logits, target = made(num_logits)
    logits.requires_grad_()
    loss = LOSSES[name](logits, target)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.abs().max() > 0
    assert LOSSES[name](logits - gradient / gradient.norm() * 0.1, target) < loss


@each_loss
@each_head
def test_ignored_pixels_have_no_influence(name: str, num_logits: int) -> None:
    logits, target = made(num_logits, ignored=0.4)
    gone = (target == IGNORE).unsqueeze(1)
    assert gone.any()
    changed = torch.where(gone, logits * -7 + 3, logits)
    results = []
    for values in (logits, changed):
        x = values.clone().requires_grad_()
        loss = LOSSES[name](x, target)
        (gradient,) = torch.autograd.grad(loss, x)
        assert gradient.masked_select(gone).abs().max() == 0
        results.append((loss, gradient))
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1])


@each_loss
@each_head
def test_ignored_pixels_count_as_if_cut_away(name: str, num_logits: int) -> None:
    logits, target = made(num_logits)
    wider, border = F.pad(logits, (0, 3), value=5.0), F.pad(target, (0, 3), value=IGNORE)
    torch.testing.assert_close(LOSSES[name](wider, border), LOSSES[name](logits, target))


@each_loss
@each_head
def test_all_ignored_is_0_with_a_finite_gradient(name: str, num_logits: int) -> None:
    logits, target = made(num_logits)
    logits.requires_grad_()
    loss = LOSSES[name](logits, torch.full_like(target, IGNORE))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


@each_loss
@given(scale=st.floats(0, 1e4), num_logits=st.sampled_from([1, 3]), seed=st.integers(0, 99))
def test_finite_for_logits_of_any_size(name: str, scale: float, num_logits: int, seed: int) -> None:
    logits, target = made(num_logits, seed, ignored=0.2)
    logits = (logits * scale).requires_grad_()
    loss = LOSSES[name](logits, target)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert 0 <= loss.item() < math.inf
    assert bool(gradient.isfinite().all())


@each_loss
def test_a_class_that_is_absent_and_not_predicted_costs_nothing(name: str) -> None:
    target = torch.arange(84).reshape(2, 6, 7) % 2
    right = perfect(target, 4)
    assert LOSSES[name](right, target).item() == pytest.approx(0, abs=1e-5)


# Two pixels, classes 0 and 1, one-logit probabilities 0.25 and 0.75 of class 1 (logits ∓ ln 3).
ONE = torch.tensor([-math.log(3), math.log(3)]).reshape(1, 1, 1, 2)
# The same by softmax.
TWO = torch.cat([torch.zeros_like(ONE), ONE], dim=1)
PAIR = torch.tensor([[[0, 1]]])


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("ce", -math.log(0.75), -math.log(0.75)),
        ("focal", -(0.25**2) * math.log(0.75), -(0.25**2) * math.log(0.75)),
        # The class 1: TP 0.75, FP 0.25, FN 0.25, one pixel added above and below; class 0 alike.
        ("dice", 1 - 1.75 / 2.0, 1 - 1.75 / 2.0),
        ("jaccard", 1 - 1.75 / 2.25, 1 - 1.75 / 2.25),
        ("tversky", 1 - 1.75 / 2.0, 1 - 1.75 / 2.0),
        # Errors 0.25 and 0.25 a class; in falling order the Jaccard loss grows to 1 in all.
        ("lovasz", None, 0.25),
    ],
)
def test_values_by_hand(name: str, one: float | None, two: float) -> None:
    assert LOSSES[name](TWO, PAIR).item() == pytest.approx(two, abs=1e-6)
    if one is not None:
        assert LOSSES[name](ONE, PAIR).item() == pytest.approx(one, abs=1e-6)


def test_bce_by_hand() -> None:
    assert LOSSES["bce"](ONE, PAIR).item() == pytest.approx(-math.log(0.75), abs=1e-6)
    # Two sigmoids: the first logit is 0 everywhere and costs ln 2, the second as above.
    assert LOSSES["bce"](TWO, PAIR).item() == pytest.approx((math.log(2) - math.log(0.75)) / 2, abs=1e-6)


def test_tversky_weighs_a_miss_more_than_a_false_alarm() -> None:
    sure = perfect(torch.tensor([[[1, 1, 0, 0]]]), 1)
    miss, alarm = torch.tensor([[[1, 1, 1, 0]]]), torch.tensor([[[1, 0, 0, 0]]])
    assert LOSSES["tversky"](sure, miss).item() == pytest.approx(1 - 3 / 3.7, abs=1e-5)
    assert LOSSES["tversky"](sure, alarm).item() == pytest.approx(1 - 2 / 2.3, abs=1e-5)


def test_lovasz_hinge_by_hand() -> None:
    # Margins 1 - 0.5 and 1 - 2 < 0: only the first pixel errs, alone of two true ones: 1/2 of 0.5.
    logits = torch.tensor([0.5, 2.0]).reshape(1, 1, 1, 2)
    assert LOSSES["lovasz"](logits, torch.ones(1, 1, 2, dtype=torch.long)).item() == pytest.approx(0.25)


def test_mean_over_pixels_that_count() -> None:
    logits = torch.tensor([0.0, 2.0, 9.0]).reshape(1, 1, 1, 3)
    target = torch.tensor([[[1, 1, IGNORE]]])
    wanted = (math.log(2) + math.log1p(math.exp(-2))) / 2
    for name in ("bce", "ce"):
        assert LOSSES[name](logits, target).item() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("num_logits", [1, 3])
def test_segmentation_models_pytorch_agrees(num_logits: int, seed: int) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch.losses", reason="the second opinion is not installed")
    logits, target = made(num_logits, seed, ignored=0.2)
    mode = "binary" if num_logits == 1 else "multiclass"
    theirs = {
        # Their DiceLoss smooths differently from one version to the next; this is the same figure.
        "dice": smp.TverskyLoss(mode, alpha=0.5, beta=0.5, smooth=1.0, ignore_index=IGNORE),
        "tversky": smp.TverskyLoss(mode, alpha=0.3, beta=0.7, smooth=1.0, ignore_index=IGNORE),
        "lovasz": smp.LovaszLoss(mode, per_image=False, ignore_index=IGNORE),
    }
    for name, loss in theirs.items():
        torch.testing.assert_close(LOSSES[name](logits, target), loss(logits, target), rtol=1e-4, atol=1e-5)
    clean = made(num_logits, seed)  # theirs has no ignore index here
    torch.testing.assert_close(
        LOSSES["jaccard"](*clean), smp.JaccardLoss(mode, smooth=1.0)(*clean), rtol=1e-4, atol=1e-5
    )


def test_torchvision_agrees_on_focal() -> None:
    ops = pytest.importorskip("torchvision.ops", reason="the second opinion is not installed")
    logits, target = made(1)
    theirs = ops.sigmoid_focal_loss(logits[:, 0], target.float(), alpha=-1, gamma=2, reduction="mean")
    torch.testing.assert_close(LOSSES["focal"](logits, target), theirs)


def test_parse_reads_weighted_sums() -> None:
    assert losses.parse("ce+dice") == [(1.0, "ce"), (1.0, "dice")]
    assert losses.parse("0.5*bce + 2*lovasz") == [(0.5, "bce"), (2.0, "lovasz")]
    assert losses.parse(" focal ") == [(1.0, "focal")]


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("dise", 'did you mean "dice"'),
        ("ce+focall", 'did you mean "focal"'),
        ("", "a loss out of"),
        ("ce+", "a loss out of"),
        ("-1*ce", "positive weight"),
        ("0*ce", "positive weight"),
        ("inf*ce", "positive weight"),
        ("nan*ce", "positive weight"),
        ("x*ce", "positive weight"),
        ("*ce", "positive weight"),
        ("ce*2", "a loss out of"),
    ],
)
def test_parse_names_what_is_wrong(expression: str, word: str) -> None:
    with pytest.raises(RecipeError, match=word.replace("*", r"\*")) as caught:
        losses.parse(expression)
    assert f"loss={expression}" in str(caught.value)


def test_build_adds_the_weighted_terms() -> None:
    logits, target = made(3, ignored=0.1)
    wanted = 0.5 * LOSSES["bce"](logits, target) + 2 * LOSSES["lovasz"](logits, target)
    torch.testing.assert_close(losses.build("0.5*bce + 2*lovasz")(logits, target), wanted)


def test_build_crops_the_target_of_an_unpadded_network() -> None:
    logits, target = made(2)
    inner = logits[..., 1:5, 2:5]
    torch.testing.assert_close(losses.build("ce")(inner, target), LOSSES["ce"](inner, target[:, 1:5, 2:5]))


def test_build_halves_the_share_of_each_coarser_output() -> None:
    fine, target = made(2)
    coarse, coarsest = torch.randn(2, 2, 3, 4), torch.randn(2, 2, 2, 2)
    total = losses.build("ce")
    up = [F.interpolate(x, size=(6, 7), mode="bilinear") for x in (coarse, coarsest)]
    wanted = (4 * total(fine, target) + 2 * total(up[0], target) + total(up[1], target)) / 7
    torch.testing.assert_close(total([fine, coarse, coarsest], target), wanted)
    torch.testing.assert_close(total([fine], target), total(fine, target))


def test_build_computes_in_full_precision() -> None:
    logits, target = made(2)
    half = logits.bfloat16()
    assert losses.build("ce")(half, target).dtype == torch.float32
    torch.testing.assert_close(losses.build("ce")(half, target), LOSSES["ce"](half.float(), target))


def test_class_weights_multiply_the_pixels_of_their_class_in_ce_alone() -> None:
    weighed = losses.build("ce", class_weights=(2.0, 5.0))
    # Both pixels cost -log 0.75; the sum is divided by their number, not by their weights.
    assert weighed(TWO, PAIR).item() == pytest.approx((2 + 5) / 2 * -math.log(0.75), abs=1e-6)
    assert weighed(ONE, PAIR).item() == pytest.approx((2 + 5) / 2 * -math.log(0.75), abs=1e-6)
    both = losses.build("ce+dice", class_weights=(1.0, 1.0))
    assert both(TWO, PAIR).item() == pytest.approx(losses.build("ce+dice")(TWO, PAIR).item(), abs=1e-6)


def test_class_weights_leave_ignored_pixels_out() -> None:
    target = torch.tensor([[[0, 255]]])
    alone = losses.build("ce", class_weights=(3.0, 9.0))(TWO[..., :1], target[..., :1])
    torch.testing.assert_close(losses.build("ce", class_weights=(3.0, 9.0))(TWO, target), alone)


@given(
    st.integers(0, 99), st.integers(2, 5), st.sampled_from([0.0, 0.3, 1.0]), st.booleans(), st.sampled_from([0.5, 3.0])
)
def test_the_fused_sum_is_the_sum_in_value_and_gradient(
    seed: int, classes: int, ignored: float, weighed: bool, share: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, classes, 5, 6, generator=generator)
    target = torch.randint(0, classes, (2, 5, 6), generator=generator)
    target[torch.rand(target.shape, generator=generator) < ignored] = 255
    weights = tuple((torch.rand(classes, generator=generator) + 0.1).tolist()) if weighed else ()
    fused, apart = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = losses.build(f"{share}*ce+dice", class_weights=weights)(fused, target)
    ce = losses.cross_entropy(apart, target, torch.tensor(weights) if weighed else None)
    wanted = share * ce + losses.dice(apart, target)
    torch.testing.assert_close(loss, wanted)
    (2 * loss).backward()  # type: ignore[no-untyped-call]
    (2 * wanted).backward()
    torch.testing.assert_close(fused.grad, apart.grad, rtol=1e-4, atol=1e-7)


def test_logits_of_any_size_give_a_finite_fused_loss() -> None:
    logits = torch.tensor([[-1e4, 1e4]]).reshape(1, 2, 1, 1).requires_grad_()
    loss = losses.build("ce+dice")(logits, torch.zeros(1, 1, 1, dtype=torch.long))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(2e4, rel=0.01)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
