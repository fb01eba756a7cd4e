"""The four cases that Wardround, the plain loop and the peers are timed on.

FedAvg, one epoch a round (d: ten steps), on made-up data: images [1, 28, 28] of ten classes and the
tutorial's CNN, or 13 numbers and a logistic regression. One row in eleven is for testing, which
leaves every hospital exactly `rows` training rows.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import yaml

_TEST_FRACTION = 1 / 11


@dataclass(frozen=True)
class Case:
    """hospitals: all there are. cohort: how many of them train in a round. rows: training rows of
    each. steps: of a round; None is one epoch. features: of a table; None has images and the CNN.
    tolerance: how far final accuracies may lie apart."""

    name: str
    hospitals: int
    cohort: int
    rows: int
    batch: int
    rounds: int
    rate: float
    steps: int | None = None
    features: int | None = None
    tolerance: float = 0.05
    seed: int = 42

    @property
    def title(self) -> str:
        """For tables."""
        sampled = f"{self.cohort} of {self.hospitals}"
        who = sampled if self.cohort < self.hospitals else str(self.hospitals)
        what = "images" if self.features is None else "rows"
        return f"{self.name}: {who} hospitals × {self.rows} {what}, batch {self.batch}"

    @property
    def values(self) -> dict[str, Any]:
        """Plain values: what a peer's process is told."""
        return asdict(self)


CASES = {
    case.name: case
    for case in (
        Case("a", hospitals=3, cohort=3, rows=600, batch=32, rounds=10, rate=0.05),
        Case("b", hospitals=100, cohort=100, rows=100, batch=20, rounds=10, rate=0.1),
        Case("c", hospitals=1000, cohort=100, rows=60, batch=20, rounds=10, rate=0.1),
        Case(
            "d",
            hospitals=4,
            cohort=4,
            rows=180,
            batch=4,
            rounds=50,
            rate=0.05,
            steps=10,
            features=13,
            tolerance=0.08,  # of 72 test rows, each 0.014
        ),
    )
}


def shortened(case: Case, rounds: int | None) -> Case:
    """The case over fewer rounds, for a trial."""
    return case if rounds is None else replace(case, rounds=rounds)


def overrides(case: Case) -> list[str]:
    """The case as overrides of params.yaml."""
    source: dict[str, Any] = {"hospitals": case.hospitals, "rows": _with_test_rows(case.rows)}
    if case.features is None:
        source |= {"shape": [1, 28, 28], "classes": 10}
    else:
        source |= {"features": case.features}
    settings: dict[str, Any] = {
        "data.dataset": "synthetic",
        "data.hospitals": [],
        "data.source": source,
        "data.test_fraction": _TEST_FRACTION,
        "data.missing_indicators": False,
        "model.name": "cnn" if case.features is None else "logistic",
        "algorithm.name": "fedavg",
        "algorithm.local.lr": case.rate,
        "algorithm.local.epochs": 1,
        "algorithm.local.steps": case.steps,
        "algorithm.local.batch_size": case.batch,
        "run.rounds": case.rounds,
        "run.seed": case.seed,
        "run.baselines": [],
        "run.experiment": "benchmark",
        "run.registered_model": False,
    }
    if case.cohort < case.hospitals:
        settings["algorithm.selection.name"] = "uniform"
        settings["algorithm.selection.fraction"] = case.cohort / case.hospitals
    return [f"{key}={_yaml(value)}" for key, value in settings.items()]


def _with_test_rows(training: int) -> int:
    """Rows of which `training` are left after the test rows (a multiple of ten fits exactly)."""
    return training + training // 10


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return text.removesuffix("...\n").strip()
