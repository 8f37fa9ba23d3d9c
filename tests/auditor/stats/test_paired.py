"""Paired comparison against statsmodels' McNemar, published Tango intervals, scipy's t, and simulated coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize_scalar
from statsmodels.stats.contingency_tables import mcnemar as oracle_mcnemar

from auditor.stats.bootstrap import bootstrap_mean
from auditor.stats.paired import mcnemar, mcnemar_per_seed, paired_bootstrap, seed_t, tango


def _arms(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    hardness = rng.random(n)
    return hardness < 0.8, hardness + rng.normal(0, 0.1, size=(3, n)) < 0.78


def test_values_are_seed_means() -> None:
    teacher, student = _arms(500)
    found = paired_bootstrap(teacher, student)
    assert found.reference.value == pytest.approx(teacher.mean())
    assert found.candidate.value == pytest.approx(student.mean())
    assert found.difference.value == pytest.approx(student.mean() - teacher.mean())
    assert found.retention.value == pytest.approx(100 * student.mean() / teacher.mean())
    assert found.discordant == np.count_nonzero(student.mean(axis=0) != teacher)
    assert found.n == 500


def test_arms_are_compared_in_the_same_resamples() -> None:
    teacher, student = _arms(500)
    found = paired_bootstrap(teacher, student)
    assert found.difference.draws == pytest.approx(found.candidate.draws - found.reference.draws)
    assert found.retention.draws == pytest.approx(100 * found.candidate.draws / found.reference.draws)


def test_difference_is_the_bootstrap_of_differences() -> None:
    teacher, student = _arms(400)
    found = paired_bootstrap(teacher, student, resamples=40_000).difference.interval()
    direct = bootstrap_mean(student.mean(axis=0) - teacher, resamples=40_000, seed=9).interval()
    assert (found.low, found.high) == pytest.approx((direct.low, direct.high), abs=0.002)


def test_identical_models_differ_by_exactly_nothing() -> None:
    teacher, _ = _arms(200)
    found = paired_bootstrap(teacher, np.stack([teacher] * 3))
    assert found.discordant == 0
    assert (found.difference.draws == 0).all()
    assert found.retention.interval().value == 100


def test_exchanging_the_arms_flips_the_sign() -> None:
    teacher, student = _arms(200)
    one = paired_bootstrap(teacher, student, resamples=20_000).difference.interval()
    other = paired_bootstrap(student, teacher, resamples=20_000).difference.interval()
    assert other.value == pytest.approx(-one.value)
    assert other.low == pytest.approx(-one.high, abs=0.003)


def test_a_teacher_that_is_never_right_leaves_no_retention() -> None:
    found = paired_bootstrap([0, 0, 0, 0], [0, 1, 0, 1])
    assert math.isnan(found.retention.value)
    assert math.isnan(found.retention.interval().low)
    assert found.difference.interval().known


def test_different_items_are_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        paired_bootstrap([0, 1], [0, 1, 1])


def test_many_items_and_clusters() -> None:
    teacher, student = _arms(100_000)
    plain = paired_bootstrap(teacher, student, resamples=2000).difference.standard_error
    clusters = np.arange(100_000) // 4
    clustered = paired_bootstrap(teacher, student, clusters=clusters, resamples=500).difference.standard_error
    assert clustered == pytest.approx(plain, rel=0.15)


right = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(right)
def test_mcnemar_equals_statsmodels(pairs: list[tuple[bool, bool]]) -> None:
    first, second = np.array(pairs).T
    found = mcnemar(first, second)
    table = [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), np.sum(~first & ~second)]]
    if found.only_reference + found.only_candidate:
        assert found.p_value == pytest.approx(oracle_mcnemar(table, exact=True).pvalue, abs=1e-12)
    else:
        assert found.p_value == 1.0
    assert (found.only_reference, found.only_candidate) == (table[0][1], table[1][0])


def test_mcnemar_for_each_seed() -> None:
    teacher, student = _arms(300)
    found = mcnemar_per_seed(teacher, student)
    assert found == tuple(mcnemar(teacher, row) for row in student)
    assert mcnemar_per_seed(student, student)[2].p_value == 1.0
    with pytest.raises(ValueError, match="seeds"):
        mcnemar_per_seed(student[:2], student)


def test_mcnemar_wants_right_or_wrong() -> None:
    with pytest.raises(ValueError, match="right"):
        mcnemar([0.5, 1], [0, 1])
    with pytest.raises(ValueError, match="right"):
        mcnemar([math.nan, 1], [0, 1])
    with pytest.raises(ValueError, match="same items"):
        mcnemar([0, 1, 1], [0, 1])


def test_tango_equals_propcis() -> None:
    # PropCIs::scoreci.mp(41, 48, 549, conf.level = 0.90) in R.
    found = tango(41, 48, 549, 0.90)
    assert (found.low, found.high) == pytest.approx((-0.0157, 0.0414), abs=5e-5)


@given(st.integers(0, 15), st.integers(0, 15), st.integers(1, 60))
def test_tango_ends_solve_the_score_equation(lost: int, won: int, rest: int) -> None:
    n = lost + won + rest
    found = tango(lost, won, n)
    assert -1 <= found.low <= found.value <= found.high <= 1
    mirrored = tango(won, lost, n)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=1e-9)
    for end in (found.low, found.high):
        # The nuisance parameter by plain maximisation of the trinomial likelihood under 'the difference is end'.
        def loss(q: float, d: float = end) -> float:
            cells = [(won, q + d), (lost, q), (rest, 1 - 2 * q - d)]
            return -sum(count * math.log(max(p, 1e-300)) for count, p in cells)

        best = minimize_scalar(
            loss, bounds=(max(0.0, -end), (1 - end) / 2), method="bounded", options={"xatol": 1e-12}
        ).x
        score = (won - lost - n * end) / math.sqrt(n * (2 * best + end - end**2))
        assert abs(score) == pytest.approx(stats.norm.ppf(0.975), abs=2e-3)


def test_tango_sees_what_a_bootstrap_cannot() -> None:
    found = tango(0, 0, 50)
    assert found.high == -found.low == pytest.approx(0.0713, abs=1e-4)
    assert math.isnan(tango(0, 0, 0).value)
    with pytest.raises(ValueError, match="sum"):
        tango(3, 3, 5)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8))
def test_seed_t_equals_scipy(values: list[float]) -> None:
    found = seed_t(values)
    spread = float(stats.sem(values))
    if spread > 1e-9:
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), spread)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    assert found.n == len(values)


def test_one_seed_has_no_bounds() -> None:
    found = seed_t([0.8])
    assert found.value == 0.8 and math.isnan(found.low) and math.isnan(found.high)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_paired_interval_covers(method: str) -> None:
    """2,000 simulated test sets of 400 items, three seeds: the 95 % interval covers 93.5 to 96.5 % of the time."""
    rng = np.random.default_rng(11)
    # True mean difference over items: P(student right) - P(teacher right), given per-item chances.
    covered = 0
    for _ in range(2000):
        hardness = rng.random(400)
        teacher = hardness < 0.85
        student = hardness + rng.uniform(-0.15, 0.15, size=(3, 400)) < 0.82
        found = paired_bootstrap(teacher, student, resamples=4000, seed=rng).difference.interval(0.95, method)  # type: ignore[arg-type]
        covered += -0.03 in found
    # hardness + U(-.15, .15) < .82 has probability .82 less what is cut off above 1: nothing, as .82 + .15 < 1.
    assert 0.935 <= covered / 2000 <= 0.965
