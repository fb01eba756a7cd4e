"""Runs that differ by their seed alone are one setting."""

from tasks.tracked_runs import settings


def test_one_setting_for_runs_that_differ_by_seed() -> None:
    one = {"run.seed": "1", "algorithm.local.lr": "0.1", "run.name": "x"}
    two = {"run.seed": "2", "algorithm.local.lr": "0.1", "run.name": "y"}
    assert settings([("fedavg", one), ("fedavg", two)]) == ["fedavg", "fedavg"]


def test_parameters_that_differ_tell_runs_of_one_name_apart() -> None:
    low = {"run.seed": "1", "algorithm.local.lr": "0.1"}
    high = {"run.seed": "1", "algorithm.local.lr": "0.5", "algorithm.local.mu": "1"}
    assert settings([("fedavg", low), ("fedavg", high), ("other", high)]) == [
        "fedavg (lr=0.1, mu=—)",
        "fedavg (lr=0.5, mu=1)",
        "other",
    ]
