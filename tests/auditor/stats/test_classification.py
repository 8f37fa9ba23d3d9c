"""Quality measures against scikit-learn, and their intervals against a bootstrap written the slow way."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from auditor.stats.bootstrap import bootstrap_mean
from auditor.stats.classification import (
    accuracy,
    bootstrap_metric,
    class_reports,
    confusion_matrix,
    f1,
    macro_f1,
    paired_metric,
    precision,
    recall,
)

labelled = st.integers(2, 5).flatmap(
    lambda k: st.tuples(
        st.just(k), st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=40)
    )
)


@given(labelled)
@settings(deadline=None)
def test_measures_equal_scikit_learn(case: tuple[int, list[tuple[int, int]]]) -> None:
    k, pairs = case
    true, predicted = np.array(pairs).T
    confusion = confusion_matrix(true, predicted, k)
    assert np.array_equal(confusion, metrics.confusion_matrix(true, predicted, labels=range(k)))
    assert accuracy(confusion) == pytest.approx(metrics.accuracy_score(true, predicted))
    assert macro_f1(confusion) == pytest.approx(metrics.f1_score(true, predicted, average="macro", zero_division=0))
    p, r, _, _ = metrics.precision_recall_fscore_support(true, predicted, labels=range(k), zero_division=np.nan)
    assert precision(confusion) == pytest.approx(p, nan_ok=True)
    assert recall(confusion) == pytest.approx(r, nan_ok=True)
    present = np.isin(np.arange(k), np.concatenate([true, predicted]))
    assert f1(confusion)[present] == pytest.approx(
        metrics.f1_score(true, predicted, labels=np.flatnonzero(present), average=None, zero_division=0)
    )
    assert np.isnan(f1(confusion)[~present]).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")


def test_leading_dimensions_are_kept() -> None:
    true = [0, 1, 2, 0]
    predicted = np.array([[0, 1, 2, 1], [0, 0, 0, 0]])
    confusion = confusion_matrix(true, predicted, 3)
    assert confusion.shape == (2, 3, 3)
    assert accuracy(confusion) == pytest.approx([0.75, 0.5])
    assert macro_f1(confusion)[0] == pytest.approx(float(macro_f1(confusion_matrix(true, predicted[0], 3))))
    assert precision(confusion)[1] == pytest.approx([0.5, math.nan, math.nan], nan_ok=True)


def test_no_items_is_nan() -> None:
    empty = confusion_matrix([], [], 3)
    assert empty.sum() == 0
    assert math.isnan(accuracy(empty)) and math.isnan(macro_f1(empty))
    with pytest.raises(ValueError, match="no items"):
        bootstrap_metric([], [], 3)


def test_one_class_and_constant_predictions() -> None:
    assert float(macro_f1(confusion_matrix([0, 0], [0, 0], 1))) == 1.0
    constant = bootstrap_metric([0, 1, 1, 0] * 20, [1] * 80, 2, macro_f1)
    assert constant.value == pytest.approx(1 / 3)
    assert constant.interval().low < constant.value < constant.interval().high


@pytest.mark.parametrize(("true", "predicted"), [([0, 3], [0, 1]), ([0, 1], [0, -1]), ([0, 1, 1], [0, 1])])
def test_labels_that_do_not_fit_are_refused(true: list[int], predicted: list[int]) -> None:
    with pytest.raises(ValueError):
        confusion_matrix(true, predicted, 3)


def _arms(n: int, classes: int, seeds: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    true = rng.choice(classes, size=n, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    return true, np.where(rng.random((seeds, n)) < 0.7, true, rng.integers(0, classes, (seeds, n)))


def test_accuracy_interval_is_that_of_the_mean() -> None:
    true, predicted = _arms(300, 3)
    ours = bootstrap_metric(true, predicted, 3, accuracy, resamples=40_000)
    direct = bootstrap_mean(predicted == true, resamples=40_000, seed=5)
    assert ours.value == pytest.approx(direct.value)
    for confidence in (0.9, 0.95):
        a, b = ours.interval(confidence), direct.interval(confidence)
        assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=0.002)


@pytest.mark.parametrize(("n", "classes"), [(150, 3), (80, 8)])
def test_macro_f1_interval_equals_the_slow_way(n: int, classes: int) -> None:
    """Few kinds of items (multinomial) and many (counting) take different ways to the same distribution."""
    true, predicted = _arms(n, classes)
    rng = np.random.default_rng(8)
    slow = []
    for _ in range(4000):
        drawn = rng.integers(0, n, n)
        slow.append(float(np.mean(macro_f1(confusion_matrix(true[drawn], predicted[:, drawn], classes)))))
    ours = bootstrap_metric(true, predicted, classes, resamples=4000)
    assert ours.value == pytest.approx(np.mean(macro_f1(confusion_matrix(true, predicted, classes))))
    assert np.mean(ours.draws) == pytest.approx(np.mean(slow), abs=0.003)
    assert ours.standard_error == pytest.approx(np.std(slow), rel=0.06)


def test_paired_metric_uses_the_same_items() -> None:
    true, predicted = _arms(200, 3)
    found = paired_metric(true, predicted[0], predicted, 3)
    assert found.difference.value == pytest.approx(found.candidate.value - found.reference.value)
    assert found.retention.value == pytest.approx(100 * found.candidate.value / found.reference.value)
    assert found.difference.draws == pytest.approx(found.candidate.draws - found.reference.draws)
    unpaired = math.hypot(found.reference.standard_error, found.candidate.standard_error)
    assert found.difference.standard_error < unpaired
    same = paired_metric(true, predicted[0], predicted[0], 3)
    assert (same.difference.draws == 0).all() and same.discordant == 0
    with pytest.raises(ValueError, match="same items"):
        paired_metric(true, predicted[0][:10], predicted, 3)


def test_class_reports() -> None:
    true, predicted = _arms(400, 3)
    reports = class_reports(true, predicted, 4)
    confusion = confusion_matrix(true, predicted, 4)
    for c in range(3):
        assert reports[c].support == np.count_nonzero(true == c)
        assert reports[c].recall.value == pytest.approx(recall(confusion)[:, c].mean())
        assert reports[c].precision.value == pytest.approx(precision(confusion)[:, c].mean())
        assert reports[c].f1.low < reports[c].f1.value < reports[c].f1.high
    # A class that never occurs has no figures, rather than zeros.
    assert reports[3].support == 0
    assert math.isnan(reports[3].f1.value) and math.isnan(reports[3].recall.low)


def test_same_seed_same_interval() -> None:
    true, predicted = _arms(100, 3)
    assert (
        bootstrap_metric(true, predicted, 3, seed=2).interval()
        == bootstrap_metric(true, predicted, 3, seed=2).interval()
    )
