"""Settings against each other, with numbers that can be worked out by hand."""

from dataclasses import replace

import pytest

from federated.contrast import (
    SeedResult,
    better,
    contrast,
    higher_is_better,
    label,
    rounds_to,
    sentence,
)
from federated.errors import WardroundError


def results(setting: str, auroc: list[float], first_seed: int = 1) -> list[SeedResult]:
    return [
        SeedResult(
            setting,
            first_seed + i,
            {"auroc": value, "loss": 1 - value, "worst_hospital_auroc": value / 2},
            {"auroc": ((0, 0.5), (1, value))},
            {"seconds": 2.0},
        )
        for i, value in enumerate(auroc)
    ]


def test_means_differences_and_curves() -> None:
    found = contrast(
        [*results("a", [0.5, 0.6, 0.7]), *results("b", [0.6, 0.7, 0.9])], ["auroc", "loss"]
    )
    assert (found.reference, found.settings) == ("a", ("a", "b"))
    assert found.seeds == {"a": (1, 2, 3), "b": (1, 2, 3)}
    assert found.means["b"]["auroc"].mean == pytest.approx(2.2 / 3)
    assert found.means["a"]["worst_hospital_auroc"].mean == pytest.approx(0.3)
    assert found.means["a"]["seconds"].mean == 2.0
    first, second = found.differences
    assert (first.setting, first.column, second.column) == ("b", "auroc", "loss")
    assert first.found.difference is not None
    assert first.found.difference.mean == pytest.approx((0.1 + 0.1 + 0.2) / 3)
    assert first.found.p is not None
    assert first.adjusted == pytest.approx(min(1.0, 2 * first.found.p))  # of two equal p
    assert found.tests == 2
    assert [(n, i.mean) for n, i in found.curves["auroc"]["a"]] == [
        (0, 0.5),
        (1, pytest.approx(0.6)),
    ]


def test_only_common_seeds_are_compared() -> None:
    found = contrast(
        [*results("a", [0.5, 0.6, 0.7]), *results("b", [0.6, 0.7, 0.8], first_seed=2)], ["auroc"]
    )
    (one,) = found.differences
    assert one.found.n == 2  # seeds 2 and 3, where both have 0.6 and 0.7
    assert one.verdict == "too few seeds"
    assert sentence(one, "a") == "b: AUROC: too few seeds to tell (2 common seeds, 3 are needed)"


def test_other_records_are_not_compared() -> None:
    ours = [
        replace(one, data="x" if one.seed < 3 else "y") for one in results("a", [0.5, 0.6, 0.7])
    ]
    theirs = [replace(one, data="x") for one in results("b", [0.8, 0.9, 0.9])]
    (one,) = contrast([*ours, *theirs], ["auroc"]).differences
    assert (one.found.n, one.verdict) == (2, "too few seeds")  # seed 3 has other records
    strangers = [replace(one, data="z") for one in theirs]
    found = contrast([*ours, *strangers], ["auroc"])
    (one,) = found.differences
    assert (one.found.n, one.adjusted, one.verdict, found.tests) == (0, None, "other data", 0)
    assert better(one) is None
    assert sentence(one, "a") == "b: AUROC: not compared, its hospitals' records are not a's"


def test_sentences_say_which_way_is_better() -> None:
    steady = [0.5, 0.61, 0.7, 0.8]
    found = contrast(
        [*results("a", steady), *results("b", [v + 0.1 + v / 1000 for v in steady])],
        ["auroc", "loss"],
    )
    up, down = found.differences
    assert sentence(up, "a") == "b: AUROC is 0.101 higher than a's (better)"
    assert sentence(down, "a") == "b: Loss is 0.101 lower than a's (better)"
    assert (better(up), better(down)) == (True, True)
    back = contrast([*results("a", steady), *results("b", [v / 2 for v in steady])], ["loss"])
    assert sentence(back.differences[0], "a").endswith("higher than a's (worse)")


def test_noise_and_sameness_in_words() -> None:
    noise = contrast([*results("a", [0.5, 0.7, 0.6]), *results("b", [0.6, 0.5, 0.7])], ["auroc"])
    assert sentence(noise.differences[0], "a") == ("b: AUROC: the difference to a is within noise")
    same = contrast([*results("a", [0.5, 0.7, 0.6]), *results("b", [0.5, 0.7, 0.6])], ["auroc"])
    assert sentence(same.differences[0], "a") == "b: AUROC is the same as a's with every seed"


def test_unknown_names_are_answered_with_the_nearest() -> None:
    some = results("fedavg", [0.5])
    with pytest.raises(WardroundError, match="did you mean 'auroc'"):
        contrast(some, ["aurok"])
    with pytest.raises(WardroundError, match="did you mean 'fedavg'"):
        contrast(some, ["auroc"], "fedavgg")
    with pytest.raises(WardroundError, match="no finished run"):
        contrast([], ["auroc"])


def test_labels_and_directions() -> None:
    assert label("worst_hospital_auroc") == "AUROC, worst hospital"
    assert label("mean_hospital_mystery") == "mystery, mean of hospitals"
    assert higher_is_better("mean_hospital_loss") is False
    assert higher_is_better("mystery") is None


def test_rounds_to_a_target() -> None:
    curve = ((0, 0.5), (1, 0.8), (2, 0.7), (3, 0.9))
    assert rounds_to(curve, 0.8, higher=True) == 1
    assert rounds_to(curve, 0.95, higher=True) is None
    assert rounds_to(curve, 0.6, higher=False) == 0
