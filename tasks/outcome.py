"""From journal and job to the results that people and DVC read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federated import results
from federated.baselines import Baseline
from federated.counts import Counts, merge, to_dict
from federated.metrics import Reading
from federated.objectives import from_dict
from federated.plugins import values
from federated.results import ALL, Results, RoundRow, RunFacts
from tasks import report_files
from tasks.files import write_atomic
from tasks.job import Job
from tasks.journal import Journal
from tasks.kept import kept
from tasks.lineage import config_digest
from tasks.round_record import RoundRecord

MODEL_FILE = "model.safetensors"


@dataclass(frozen=True)
class Comparison:
    """Baselines that were trained: by hospital alone, pooled, and without robust rules."""

    alone: dict[str, Baseline]
    pooled: Baseline | None
    plain: Baseline | None


def write_results(folder: Path, job: Job, journal: Journal, compared: Comparison) -> Results:
    """Write model.safetensors, rounds.csv, evaluation.json and metrics.json, in this order."""
    rounds = journal.rounds()
    last = kept(job.config.run, rounds)
    found = _results(job, rounds, last, compared)
    write_atomic(folder / MODEL_FILE, journal.weights_path(last.weights).read_bytes())
    report_files.write_rounds(folder / "rounds.csv", round_rows(rounds))
    report_files.write_curves(folder, _curves(job, last))
    report_files.write_results(folder, found)
    return found


def round_rows(rounds: list[RoundRecord]) -> list[RoundRow]:
    """Every round's metrics, over all hospitals and at each."""
    rows = []
    for record in rounds:
        found = record.metrics()
        sent = sum(record.sent.values()) if record.sent else None
        rows.append(
            results.round_row(record.round, ALL, mean_loss(record), sent, found.total.metrics())
        )
        for hospital, own in sorted(found.hospitals.items()):
            loss, sent = record.train_loss.get(hospital), record.sent.get(hospital)
            rows.append(results.round_row(record.round, hospital, loss, sent, own))
    return rows


def mean_loss(record: RoundRecord) -> float | None:
    """Mean training loss of the round's cohort; None for round 0, when nobody trained."""
    losses = record.train_loss.values()
    return math.fsum(losses) / len(losses) if losses else None


def baseline_to_json(baseline: Baseline) -> dict[str, Any]:
    """For the journal."""
    return {
        "steps": baseline.steps,
        "counts": {h: to_dict(c) for h, c in baseline.counts.items()},
    }


def baseline_from_json(values: Mapping[str, Any]) -> Baseline:
    """From the journal."""
    counts = {h: from_dict(c) for h, c in values["counts"].items()}
    return Baseline(counts, values["steps"])


def _results(
    job: Job, rounds: list[RoundRecord], last: RoundRecord, compared: Comparison
) -> Results:
    counts = last.counts
    baselines = results.Baselines(
        alone=_alone(compared.alone, job.objective.reading) if compared.alone else None,
        pooled=_pooled(compared.pooled.counts) if compared.pooled else None,
        plain=_pooled(compared.plain.counts) if compared.plain else None,
    )
    per_hospital = {h: c.metrics() for h, c in sorted(counts.items())}
    overall = merge(list(counts.values())).metrics()
    facts = _facts(job, rounds, last, overall.prevalence is not None)
    return results.results(overall, per_hospital, baselines, facts)


def _alone(baselines: Mapping[str, Baseline], reading: Reading) -> results.Alone:
    own = {h: b.counts[h] for h, b in sorted(baselines.items())}
    overall = merge(list(own.values())).metrics()
    return results.alone({h: c.metrics() for h, c in own.items()}, overall, reading)


def _pooled(counts: Mapping[str, Counts]) -> results.Pooled:
    per_hospital = {h: c.metrics() for h, c in sorted(counts.items())}
    return results.Pooled(hospitals=per_hospital, all=merge(list(counts.values())).metrics())


def _facts(job: Job, rounds: list[RoundRecord], last: RoundRecord, answered: bool) -> RunFacts:
    """answered: the question is answered with yes or no."""
    config, rules = job.config, job.config.algorithm.rules
    return RunFacts(
        objective=job.objective.reading.kind,
        event=job.objective.positive,
        threshold=config.evaluation.threshold if answered else None,
        dataset=config.data.dataset,
        partition=config.data.partition["name"],
        model=config.model["name"],
        algorithm=config.algorithm.name,
        rules={k: {"name": n} | values(getattr(rules, k)) for k, n in rules.names.items()},
        rounds=rounds[-1].round,
        kept=last.round,
        sent=sum(sum(r.sent.values()) for r in rounds),
        seed=config.run.seed,
        scaling=config.data.scaling,
        parameters=sum(p.numel() for p in job.network.parameters()),
        examples={
            h: results.Examples(train=s.rows.train, validation=s.rows.validation, test=s.rows.test)
            for h, s in job.sites.items()
        },
        steps=sum(sum(r.steps.values()) for r in rounds),
        data=dict(job.data),
        config=config_digest(config, job.computed),
    )


def _curves(job: Job, last: RoundRecord) -> results.Curves:
    threshold = job.config.evaluation.threshold
    return results.Curves(
        overall=merge(list(last.counts.values())).curve(threshold),
        hospitals={h: c.curve(threshold) for h, c in sorted(last.counts.items())},
        coverage=dict(job.coverage),
    )
