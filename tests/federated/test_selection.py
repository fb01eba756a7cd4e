"""Who takes part: by hand, and how often over many draws."""

from collections import Counter
from itertools import permutations
from typing import Any

import pytest
import torch

from federated.errors import ConfigError
from federated.selection import Candidates, share
from federated.selection.all import All
from federated.selection.cyclic import Cyclic
from federated.selection.only import Only
from federated.selection.power_of_choice import PowerOfChoice
from federated.selection.uniform import Uniform
from federated.selection.weighted import Weighted

SIZES = {"a": 10, "b": 30, "c": 20, "d": 40}
DRAWS = 4000


def candidates(round_: int = 1, seed: int = 0, **losses: float) -> Candidates:
    return Candidates(tuple(SIZES), SIZES, round_, seed, lambda name: losses[name])


def frequencies(rule: Any, **losses: float) -> dict[str, float]:
    """How often each cohort is drawn, by its names."""
    drawn = torch.Generator().manual_seed(0)
    seen = Counter("".join(rule.select(candidates(**losses), drawn)) for _ in range(DRAWS))
    return {cohort: count / DRAWS for cohort, count in seen.items()}


@pytest.mark.parametrize(
    ("fraction", "hospitals", "expected"),
    [(0.5, 4, 2), (0.5, 5, 3), (0.01, 4, 1), (1.0, 4, 4), (0.1, 30, 3), (0.3, 10, 3), (0.7, 3, 3)],
)
def test_a_share_is_rounded_up(fraction: float, hospitals: int, expected: int) -> None:
    assert share(fraction, hospitals) == expected


def test_all_and_only() -> None:
    drawn = torch.Generator()
    assert All().select(candidates(), drawn) == ["a", "b", "c", "d"]
    assert Only(hospitals=("d", "b")).select(candidates(), drawn) == ["b", "d"]
    with pytest.raises(
        ConfigError, match=r"selection\.hospitals: no hospital 'bb' that can train; did you mean"
    ):
        Only(hospitals=("a", "bb")).select(candidates(), drawn)


def test_uniform_draws_every_cohort_alike() -> None:
    seen = frequencies(Uniform(fraction=0.5))
    assert set(seen) == {"ab", "ac", "ad", "bc", "bd", "cd"}
    # five standard errors of p = 1/6 over 4000 draws
    assert all(abs(f - 1 / 6) < 0.03 for f in seen.values())
    assert frequencies(Uniform()) == {"abcd": 1.0}


def chance(cohort: str) -> float:
    """Drawn one after another, each with probability n_k over what is left."""
    total = 0.0
    for order in permutations(cohort):
        product, left = 1.0, sum(SIZES.values())
        for name in order:
            product, left = product * SIZES[name] / left, left - SIZES[name]
        total += product
    return total


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.75])
def test_weighted_draws_by_size_without_replacement(fraction: float) -> None:
    seen = frequencies(Weighted(fraction=fraction))
    assert {len(cohort) for cohort in seen} == {round(4 * fraction)}
    for cohort, frequency in seen.items():
        assert frequency == pytest.approx(chance(cohort), abs=0.04), cohort
    assert sum(chance(cohort) for cohort in seen) == pytest.approx(1)
    if fraction == 0.25:
        assert chance("d") == 0.4


@pytest.mark.parametrize("reshuffle", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_cyclic_visits_every_hospital_once_a_cycle(seed: int, reshuffle: bool) -> None:
    rule = Cyclic(reshuffle=reshuffle)
    seen = [rule.select(candidates(r, seed), torch.Generator()) for r in range(1, 41)]
    assert {len(cohort) for cohort in seen} == {1}
    turns = "".join(cohort[0] for cohort in seen)
    cycles = [turns[i : i + 4] for i in range(0, 40, 4)]
    assert {"".join(sorted(cycle)) for cycle in cycles} == {"abcd"}
    assert (len(set(cycles)) > 1) == reshuffle
    assert turns == "".join(
        rule.select(candidates(r, seed), torch.Generator())[0] for r in range(1, 41)
    )


def test_without_reshuffling_the_first_cycles_order_is_kept() -> None:
    kept, drawn = (
        [Cyclic(reshuffle=r).select(candidates(n), torch.Generator())[0] for n in range(1, 5)]
        for r in (False, True)
    )
    assert kept == drawn


def test_cyclic_orders_depend_on_the_seed() -> None:
    orders = {
        "".join(Cyclic().select(candidates(r, s), torch.Generator())[0] for r in range(1, 5))
        for s in range(20)
    }
    assert len(orders) > 5


def test_power_of_choice_takes_the_worst_of_all() -> None:
    losses = {"a": 0.1, "b": 3.0, "c": 0.2, "d": 2.0}
    assert frequencies(PowerOfChoice(fraction=0.5), **losses) == {"bd": 1.0}
    assert frequencies(PowerOfChoice(fraction=0.25), **losses) == {"b": 1.0}
    equal = dict.fromkeys("abcd", 1.0)
    assert frequencies(PowerOfChoice(fraction=0.5), **equal) == {"ab": 1.0}


def test_power_of_choice_asks_only_those_it_drew_by_size() -> None:
    asked: list[str] = []

    def loss(name: str) -> float:
        asked.append(name)
        return SIZES[name]

    one = Candidates(tuple(SIZES), SIZES, loss=loss)
    PowerOfChoice(fraction=0.25, candidates=0.5).select(one, torch.Generator().manual_seed(0))
    assert len(asked) == len(set(asked)) == 2
    # the worst of the pair that was drawn: a where it is among them, then c, then b
    seen = frequencies(PowerOfChoice(fraction=0.25, candidates=0.5), a=4, c=3, b=2, d=1)
    pairs = {"a": ["ab", "ac", "ad"], "c": ["bc", "cd"], "b": ["bd"]}
    assert seen.keys() == pairs.keys()
    for name, of in pairs.items():
        assert seen[name] == pytest.approx(sum(chance(p) for p in of), abs=0.04)


def test_power_of_choice_draws_no_fewer_than_it_takes() -> None:
    given = PowerOfChoice(fraction=0.75, candidates=0.25)
    cohorts = frequencies(given, a=1.0, b=2.0, c=3.0, d=4.0)
    assert {len(cohort) for cohort in cohorts} == {3}
