"""What a person should know of a job's settings before its first round, in sentences."""

from federated.objectives.multilabel import Multilabel
from federated.objectives.survival import Survival
from federated.selection.power_of_choice import PowerOfChoice
from federated.selection.weighted import Weighted
from tasks.job import Job

_EVEN = 0.5
"""evaluation.threshold where nobody set it."""


def advice(job: Job) -> list[str]:
    """Hospitals that cannot train, and settings that make another model than one may think."""
    return [*_silent(job), *_risk_sets(job), *_sizes_twice(job), *_idle_threshold(job)]


def _silent(job: Job) -> list[str]:
    return [
        f"{hospital}: none of its {site.rows.train} training rows has an event; it evaluates, and "
        "does not train"
        for hospital, site in job.sites.items()
        if not site.rows.examples
    ]


def _risk_sets(job: Job) -> list[str]:
    size: int | None = getattr(job.config.algorithm.rules.local, "batch_size", None)
    most = max(site.rows.train for site in job.sites.values())
    if not isinstance(job.objective, Survival) or size is None or size >= most:
        return []
    return [
        f"a patient is compared with those at risk in its batch of {size} alone "
        "(algorithm.local.batch_size); null compares it with all of its hospital, as Cox "
        "regression does"
    ]


def _sizes_twice(job: Job) -> list[str]:
    rules = job.config.algorithm.rules
    drawn = isinstance(rules.selection, Weighted | PowerOfChoice)
    if not drawn or rules.weight(2) == 1:
        return []
    return [
        f"algorithm.selection.name {rules.names['selection']} draws larger hospitals more often, "
        "and algorithm.aggregation.weighted_by examples lets them weigh more again; hospitals "
        "counts sizes once"
    ]


def _idle_threshold(job: Job) -> list[str]:
    threshold = job.config.evaluation.threshold
    if threshold == _EVEN or job.objective.positive is not None:
        return []
    if isinstance(job.objective, Multilabel):
        return []
    return [f"evaluation.threshold {threshold:g} has no effect: it is of yes/no questions"]
