import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.counts import merge, to_dict
from federated.errors import ConfigError
from federated.histograms import ONE
from federated.objectives import objective_of
from federated.objectives.survival import Survival, SurvivalCounts
from federated.schema import Survival as SurvivalQuestion
from federated.schema import TableSchema

OBJECTIVE = Survival("months", "died")
# few different times and hazards: ties in both
ROWS = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(0, 6), st.booleans()), min_size=1, max_size=25
)
Row = tuple[float, float, bool]


def tensors(rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    hazard = torch.tensor([[o] for o, _, _ in rows], dtype=torch.float64)
    known = torch.tensor([[t, float(e)] for _, t, e in rows], dtype=torch.float64)
    return hazard.reshape(-1, 1), known.reshape(-1, 2)


def counted(rows: list[Row]) -> SurvivalCounts:
    return OBJECTIVE.count(*tensors(rows), 10, 5)


def likelihood(rows: list[Row]) -> float:
    """-log of Breslow's partial likelihood, event by event."""
    total = 0.0
    for own, time, event in rows:
        if event:
            at_risk = [math.exp(other) for other, later, _ in rows if later >= time]
            total -= math.log(math.exp(own) / sum(at_risk))
    return total


def pairs(rows: list[Row]) -> tuple[int, int, int]:
    """(comparable, concordant, tied), pair by pair."""
    comparable = concordant = tied = 0
    for i, (own, time, event) in enumerate(rows):
        for j, (other, later, had) in enumerate(rows):
            if i != j and event and (later > time or (later == time and not had)):
                comparable += 1
                concordant += own > other
                tied += own == other
    return comparable, concordant, tied


def test_by_hand() -> None:
    # deaths at 1 and 3, censored at 2 and 3. At risk at 1: all; at 3: the last two.
    rows: list[Row] = [(math.log(2), 1, True), (0, 2, False), (math.log(3), 3, True), (0, 3, False)]
    found = counted(rows).metrics()
    assert found["loss"] == pytest.approx(-(math.log(2 / 7) + math.log(3 / 4)) / 2, abs=1e-9)
    # 1 against the three others: above two of them; the death at 3 outranks whom it left behind
    assert found["c_index"] == 3 / 4
    assert found["events"] == 2


def test_a_tie_is_half_a_concordant_pair() -> None:
    # against the death at 1: one tied, one below, one above
    rows: list[Row] = [(2, 1, True), (2, 2, False), (1, 2, False), (3, 2, False)]
    assert counted(rows).metrics()["c_index"] == 1.5 / 3


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_equals_loops_over_events_and_pairs(rows: list[Row]) -> None:
    counts = counted(rows)
    assert (counts.comparable, counts.concordant, counts.tied) == pairs(rows)
    assert counts.loss / 2**32 == pytest.approx(likelihood(rows), abs=1e-8)
    events = sum(event for *_, event in rows)
    mean = OBJECTIVE.loss(*tensors(rows)).item()
    assert mean == pytest.approx(likelihood(rows) / max(events, 1), abs=1e-9)
    each = OBJECTIVE.loss(*tensors(rows), reduction="none")
    assert each.sum().item() == pytest.approx(likelihood(rows), abs=1e-9)


def test_many_events_are_counted_in_pieces() -> None:
    drawn = np.random.default_rng(0)
    rows = [(float(drawn.normal()), float(t), bool(e)) for t, e in drawn.integers(0, 2, (600, 2))]
    rows = [(o, float(i % 50), e) for i, (o, _, e) in enumerate(rows)]
    counts = counted(rows)
    assert counts.events > 256
    assert (counts.comparable, counts.concordant, counts.tied) == pairs(rows)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROWS, min_size=2, max_size=4))
def test_hospitals_merge_in_any_grouping_to_the_mean_weighted_by_pairs(
    hospitals: list[list[Row]],
) -> None:
    parts = [counted(rows) for rows in hospitals]
    merged = merge(parts)
    assert to_dict(merge(parts[::-1])) == to_dict(merged)
    assert to_dict(merge([merge(parts[:1]), merge(parts[1:])])) == to_dict(merged)
    each = [(p.comparable, p.metrics()["c_index"]) for p in parts if p.comparable]
    if each:
        mean = sum(n * (c or 0) for n, c in each) / sum(n for n, _ in each)
        assert merged.metrics()["c_index"] == pytest.approx(mean, abs=1e-12)
    else:
        assert merged.metrics()["c_index"] is None


def test_the_gradient_is_that_of_finite_differences() -> None:
    rows: list[Row] = [
        (0.3, 2, True),
        (-0.2, 2, True),
        (0.9, 1, False),
        (0.1, 4, True),
        (0, 5, False),
    ]
    hazard, known = tensors(rows)
    assert torch.autograd.gradcheck(
        lambda o: OBJECTIVE.loss(o, known), hazard.requires_grad_(), eps=1e-6
    )


def test_rows_without_an_event_give_a_zero_that_trains_nothing() -> None:
    hazard = torch.tensor([[1.0], [2.0]], requires_grad=True)
    value = OBJECTIVE.loss(hazard, torch.tensor([[1.0, 0], [2, 0]]))
    assert value.item() == 0
    value.backward()  # type: ignore[no-untyped-call]
    assert hazard.grad is not None
    assert hazard.grad.tolist() == [[0], [0]]
    found = counted([(1, 1, False), (2, 2, False)]).metrics()
    assert (found["loss"], found["c_index"], found["events"]) == (None, None, 0)


def test_weights_are_those_of_repeated_rows() -> None:
    hazard, known = tensors([(0.3, 2, True), (-0.2, 3, True), (0.9, 1, False), (0.1, 4, True)])
    times = torch.tensor([2, 1, 3, 2])
    repeated = OBJECTIVE.loss(hazard.repeat_interleave(times, 0), known.repeat_interleave(times, 0))
    torch.testing.assert_close(OBJECTIVE.loss(hazard, known, times.double()), repeated)


def test_large_hazards_do_not_overflow() -> None:
    value = OBJECTIVE.loss(*tensors([(800, 1, True), (-800, 2, True), (790, 3, False)]))
    assert value.item() == pytest.approx((math.log1p(math.exp(-10)) + 1590) / 2)


def test_refusals() -> None:
    for bad in ([-1.0, 1], [math.nan, 1], [1, 0.5]):
        with pytest.raises(ValueError, match="no time ≥ 0"):
            OBJECTIVE.count(torch.zeros(1, 1), torch.tensor([bad]), 10, 5)
    with pytest.raises(ValueError, match="do not fit"):
        OBJECTIVE.loss(torch.zeros(2, 1), torch.zeros(2))
    with pytest.raises(ConfigError, match="class_weights need classes"):
        OBJECTIVE.row_weights(torch.zeros(2, 2))


def test_the_schemas_survival_makes_it() -> None:
    question = SurvivalQuestion(time="months", event="died")
    assert objective_of(TableSchema(columns=(), target="died", question=question)) == OBJECTIVE
    assert (OBJECTIVE.outputs, OBJECTIVE.columns) == (1, ("relative_risk",))
    assert OBJECTIVE.predictions(torch.tensor([[0.0]])).tolist() == [[1]]


def three() -> SurvivalCounts:
    """Events at 1 and 2, censored at 3: the first outlived rightly by both, the second wrongly."""
    known = torch.tensor([[1.0, 1], [2, 1], [3, 0]], dtype=torch.float64)
    return OBJECTIVE.count(torch.tensor([[3.0], [1], [2]]), known, 10, 5)


def test_counts_by_hand() -> None:
    one = three()
    assert (one.events, one.comparable, one.concordant, one.tied) == (2, 3, 2, 0)
    assert (one.n2, one.nc, one.c2) == (3 * 2**2, 2 * (4 + 2 + 2), 4**2 + 2**2 + 2**2)
    losses = [math.log(math.e**3 + math.e + math.e**2) - 3, math.log(math.e + math.e**2) - 1]
    assert one.loss == round(sum(losses) * ONE)
    assert one.loss2 == pytest.approx(sum(loss**2 for loss in losses) * ONE**2)
    assert one.consistent()


@pytest.mark.parametrize(
    "fault",
    [
        {"events": 4},
        {"comparable": 4},
        {"concordant": 4},
        {"tied": 2},
        {"loss2": 0},
        {"loss2": 2**70},
        {"n2": 11},  # (Σn)² = 36 > 3 · 11
        {"n2": 13 * 2},
        {"nc": 18},
        {"nc": 11},
        {"c2": 21},  # (Σc)² = 64 > 3 · 21
    ],
    ids=str,
)
def test_counts_that_no_rows_could_have(fault: dict[str, int]) -> None:
    assert replace(three(), **fault).consistent() is False


def test_strata_and_tally_are_of_the_event() -> None:
    known = np.array([[2.0, 1.0], [3.0, 0.0], [1.0, 0.0]])
    assert OBJECTIVE.strata(known).tolist() == [1, 0, 0]
    assert OBJECTIVE.tally(known) == {"event": 1, "censored": 2}
    assert OBJECTIVE.encode(known) is known
