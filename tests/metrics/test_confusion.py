"""Pins down metrics: whole-set counts, checked against scikit-learn and torchmetrics; what is absent is None."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from masksmith.classes import IGNORE
from masksmith.metrics import METRICS, Confusion, Figures, from_dict, summarize

Masks = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], int]


@st.composite
def masks(draw: st.DrawFn) -> Masks:
    """(truth, prediction, classes): a few classes, some absent, some pixels ignored."""
    num_classes = draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shown = rng.choice(num_classes, draw(st.integers(1, num_classes)), replace=False)
    truth = rng.choice(shown, (9, 11)).astype(np.uint8)
    predicted = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, num_classes, truth.shape)).astype(
        np.uint8
    )
    truth[rng.random(truth.shape) < draw(st.sampled_from([0.0, 0.3]))] = IGNORE
    return truth, predicted, num_classes


def figures(truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], num_classes: int) -> Figures:
    confusion = Confusion(num_classes)
    confusion.add(truth, predicted)
    return summarize(confusion, [f"c{k}" for k in range(num_classes)])


def test_figures_by_hand() -> None:
    truth = np.array([[0, 0, 0, 1], [1, 1, 1, IGNORE]], np.uint8)
    predicted = np.array([[0, 0, 1, 1], [1, 1, 0, 0]], np.uint8)
    found = figures(truth, predicted, 2)
    assert found.confusion == [[2, 1], [1, 3]]
    assert found.per_class["iou"] == [pytest.approx(2 / 4), pytest.approx(3 / 5)]
    assert found.per_class["dice"] == [pytest.approx(4 / 6), pytest.approx(6 / 8)]
    assert found.per_class["precision"] == [pytest.approx(2 / 3), pytest.approx(3 / 4)]
    assert found.per_class["recall"] == [pytest.approx(2 / 3), pytest.approx(3 / 4)]
    assert found.mean["iou"] == pytest.approx((2 / 4 + 3 / 5) / 2)
    assert found.pixel_accuracy == pytest.approx(5 / 7)
    assert found.support == [3, 4]
    assert found.ignored_pixels == 1


@given(masks())
def test_scikit_learn_agrees(made: Masks) -> None:
    sk = pytest.importorskip("sklearn.metrics", reason="the second opinion is not installed")
    truth, predicted, num_classes = made
    found = figures(truth, predicted, num_classes)
    counted = truth != IGNORE
    t, p, labels = truth[counted], predicted[counted], list(range(num_classes))
    if t.size == 0:
        return
    np.testing.assert_array_equal(found.confusion, sk.confusion_matrix(t, p, labels=labels))
    assert found.pixel_accuracy == pytest.approx(sk.accuracy_score(t, p))
    theirs = {"iou": sk.jaccard_score, "dice": sk.f1_score, "precision": sk.precision_score, "recall": sk.recall_score}
    assert set(theirs) == set(METRICS), "a new metric needs a second opinion here"
    for name, score in theirs.items():
        wanted = score(t, p, labels=labels, average=None, zero_division=0)
        for k in labels:
            ours = found.per_class[name][k]
            if (t == k).any() and (name != "precision" or (p == k).any()):
                assert ours == pytest.approx(wanted[k]), (name, k)
            else:
                assert ours is None, (name, k)


@given(masks())
def test_torchmetrics_agrees(made: Masks) -> None:
    theirs = pytest.importorskip("torchmetrics.functional.classification", reason="the second opinion is not installed")
    truth, predicted, num_classes = made
    found = figures(truth, predicted, num_classes)
    t, p = torch.from_numpy(truth).long(), torch.from_numpy(predicted).long()
    options = {"num_classes": num_classes, "ignore_index": IGNORE}
    matrix = theirs.multiclass_confusion_matrix(p, t, **options)
    assert found.confusion == matrix.tolist()
    iou = theirs.multiclass_jaccard_index(p, t, average="none", **options)
    dice = theirs.multiclass_f1_score(p, t, average="none", **options)
    for k in range(num_classes):
        if found.support[k]:
            assert found.per_class["iou"][k] == pytest.approx(iou[k].item(), abs=1e-6)
            assert found.per_class["dice"][k] == pytest.approx(dice[k].item(), abs=1e-6)


@given(masks())
def test_figures_stay_within_0_and_1_and_dice_is_above_iou(made: Masks) -> None:
    found = figures(*made)
    for values in found.per_class.values():
        assert all(v is None or 0 <= v <= 1 for v in values)
    pairs = zip(found.per_class["iou"], found.per_class["dice"], strict=True)
    assert all(i is None or (d is not None and d == pytest.approx(2 * i / (1 + i))) for i, d in pairs)
    assert sum(found.support) + found.ignored_pixels == made[0].size


@given(st.lists(masks(), min_size=2, max_size=4))
def test_counts_of_a_set_are_those_of_its_pictures_together(parts: list[Masks]) -> None:
    num_classes = max(n for _, _, n in parts)
    one, all_at_once = Confusion(num_classes), Confusion(num_classes)
    for truth, predicted, _ in parts:
        one.add(truth, predicted)
    all_at_once.add(np.vstack([t for t, _, _ in parts]), np.vstack([p for _, p, _ in parts]))
    np.testing.assert_array_equal(one.counts_KK, all_at_once.counts_KK)
    assert one.ignored == all_at_once.ignored


def test_absent_class_is_none_and_not_in_the_mean() -> None:
    truth = np.zeros((4, 4), np.uint8)
    predicted = truth.copy()
    predicted[0, 0] = 2  # predicted, though it does not occur
    found = figures(truth, predicted, 3)
    for name in METRICS:
        assert found.per_class[name][1:] == [None, None]
        assert found.mean[name] == found.per_class[name][0]
    assert found.per_class["iou"][0] == pytest.approx(15 / 16)


def test_precision_of_a_class_never_predicted_is_none() -> None:
    found = figures(np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8), 2)
    assert found.per_class["precision"] == [0.5, None]
    assert found.per_class["recall"] == [1.0, 0.0]
    assert found.mean["precision"] == 0.5


def test_nothing_counted_is_none_everywhere() -> None:
    found = figures(np.full((3, 5), IGNORE, np.uint8), np.zeros((3, 5), np.uint8), 2)
    assert found.pixel_accuracy is None
    assert set(found.mean.values()) == {None}
    assert found.ignored_pixels == 15
    assert found.support == [0, 0]


def test_255_classes_do_not_overflow() -> None:
    truth = np.arange(255, dtype=np.uint8).reshape(15, 17)
    found = figures(truth, truth, 255)
    assert found.mean["iou"] == 1.0
    assert found.confusion[254][254] == 1


@given(masks())
def test_json_round_trip(made: Masks) -> None:
    found = figures(*made)
    assert from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_json_explains_each_figure() -> None:
    definitions = figures(np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8), 1).to_dict()["definitions"]
    assert isinstance(definitions, dict)
    assert set(METRICS) <= set(definitions)
    assert "TP / (TP + FP + FN)" in definitions["iou"]
