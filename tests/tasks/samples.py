"""A made-up run: the results that `reports/` would hold after it."""

from collections.abc import Sequence
from pathlib import Path

import torch

from federated.counts import Counts, merge
from federated.objectives import Objective
from federated.objectives.classification import Classification
from federated.objectives.multilabel import Multilabel
from federated.objectives.regression import Regression
from federated.results import (
    ALL,
    Baselines,
    Curves,
    Examples,
    Pooled,
    RoundRow,
    RunFacts,
    alone,
    results,
    round_row,
)
from federated.schema import Coverage
from tasks.report_files import ROUNDS, write_curves, write_results, write_rounds
from tests.federated.make import YES_NO

HOSPITALS = ("cleveland", "hungary", "switzerland", "va")
ROUNDS_RUN = 4


def counted(hospital: int, skill: float, objective: Objective, one_class: bool = False) -> Counts:
    """Counts of random outputs that are right the more often the greater `skill`."""
    generator = torch.Generator().manual_seed(hospital)
    rows = 100 - 20 * hospital
    targets = _targets(objective, rows, generator, one_class)
    noise = torch.randn(rows, objective.outputs, generator=generator)
    return objective.count(noise + skill * _ideal(objective, targets), targets, 1000, 15)


def _targets(
    objective: Objective, rows: int, generator: torch.Generator, one_class: bool
) -> torch.Tensor:
    """Random targets; `one_class`: all alike, and nobody has an event."""
    if isinstance(objective, Classification):
        found = torch.randint(0, len(objective.classes), (rows,), generator=generator)
        return torch.ones_like(found) if one_class else found
    if isinstance(objective, Multilabel):
        found = torch.randint(0, 2, (rows, objective.outputs), generator=generator).double()
        return torch.ones_like(found) if one_class else found
    values = torch.rand(rows, generator=generator).double() * 3
    if isinstance(objective, Regression):
        return torch.ones_like(values) if one_class else values
    event = torch.randint(0, 2, (rows,), generator=generator).double()
    return torch.stack([values, event * (not one_class)], dim=1)


def _ideal(objective: Objective, targets: torch.Tensor) -> torch.Tensor:
    """What a model that knows would give, [rows, K]."""
    if isinstance(objective, Classification) and objective.outputs > 1:
        return torch.eye(objective.outputs)[targets]
    if isinstance(objective, Classification | Multilabel):
        return (2.0 * targets - 1).reshape(len(targets), -1)
    return targets[:, None] if isinstance(objective, Regression) else -targets[:, :1]


def write_sample(
    folder: Path,
    hospitals: Sequence[str] = HOSPITALS,
    objective: Objective = YES_NO,
    baselines: bool = True,
    one_class: int | None = None,
    rounds: int = ROUNDS_RUN,
) -> Path:
    """Write a run's results into `folder`. one_class: index of a hospital without AUROC."""

    def all_counts(skill: float) -> dict[str, Counts]:
        return {
            h: counted(i % 4, skill, objective, i == one_class) for i, h in enumerate(hospitals)
        }

    def sent(round_: int) -> tuple[float | None, int | None]:
        return (0.7 / (round_ + 1), 128) if round_ else (None, None)

    lines: list[RoundRow] = []
    for round_ in range(rounds + 1):
        now = all_counts(1.4 * round_ / (round_ + 4))
        lines += [round_row(round_, h, *sent(round_), c.metrics()) for h, c in now.items()]
        lines.append(round_row(round_, ALL, None, None, merge([*now.values()]).metrics()))
    each = {h: c.metrics() for h, c in now.items()}
    everything = merge([*now.values()])
    worse, better = all_counts(0.8), all_counts(1.25)
    compared = Baselines(
        alone=alone(
            {h: c.metrics() for h, c in worse.items()},
            merge([*worse.values()]).metrics(),
            objective.reading,
        ),
        pooled=Pooled(
            hospitals={h: c.metrics() for h, c in better.items()},
            all=merge([*better.values()]).metrics(),
        ),
    )
    facts = RunFacts(
        objective=objective.reading.kind,
        dataset="heart_disease",
        partition="natural",
        model="logistic",
        algorithm="fedavg",
        rules={
            "local": {"name": "sgd", "lr": 0.05, "epochs": 2, "steps": None, "batch_size": 16},
            "aggregation": {"name": "mean", "weighted_by": "examples"},
            "server": {"name": "sgd", "lr": 1.0},
            "selection": {"name": "all"},
        },
        rounds=rounds,
        kept=rounds,
        sent=128 * rounds * len(hospitals),
        seed=42,
        scaling="federated",
        parameters=23,
        examples={
            h: Examples(train=200 - 30 * (i % 4), test=each[h].rows) for i, h in enumerate(each)
        },
        steps=2400,
        data={h: f"{i:032x}" for i, h in enumerate(each)},
        config="ab" * 32,
    )
    write_results(
        folder, results(everything.metrics(), each, compared if baselines else Baselines(), facts)
    )
    coverage = {
        h: Coverage(
            hospital=h,
            rows=found.rows * 3,
            kept=found.rows * 3 - i,
            quarantined={"trestbps: below 1": i} if i else {},
            dropped_columns={"slope": "missing in every row"} if i == 2 else {},
            missing={"chol": 3 * i, "ca": 91 * i, "thal": 83 * i},
            constant=("chol",) if i == 2 else (),
            classes={"absent": found.rows, "present": found.rows * 2 - i},
        )
        for i, (h, found) in enumerate(each.items())
    }
    plotted = {h: c.curve(0.5) for h, c in now.items()}
    write_curves(
        folder, Curves(overall=everything.curve(0.5), hospitals=plotted, coverage=coverage)
    )
    write_rounds(folder / ROUNDS, lines)
    return folder
