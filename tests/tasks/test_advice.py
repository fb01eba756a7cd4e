"""What is said before the first round of settings that make another model than one may think."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from federated.config import load
from federated.objectives.survival import Survival
from federated.types import HospitalData, Split
from tasks.advice import advice
from tasks.job import Job, load_job
from tests.conftest import ROOT, SMALL, merged


@pytest.fixture
def job(tmp_path: Path) -> Job:
    values = merged(yaml.safe_load((ROOT / "params.yaml").read_text()), SMALL)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    return load_job(load(tmp_path / "params.yaml"), tmp_path)


class OfSurvival(Job):
    """A job whose question is a time to an event."""

    objective = Survival("months", "died")  # type: ignore[assignment]


def survival(job: Job, size: int | None) -> Job:
    """hospital-1 has no event; batches of `size`."""
    sites = {}
    for number, (name, one) in enumerate(job.local.items(), start=1):
        rows = one.data.train.features
        known = torch.ones(len(rows), 2, dtype=torch.float64)
        known[:, 1] *= number > 1
        data = HospitalData(name, Split(rows, known), one.data.test, one.data.validation)
        sites[name] = replace(one, data=data, objective=Survival("months", "died"))
    return with_local(OfSurvival(**{**vars(job), "sites": sites}), batch_size=size)


def with_local(job: Job, **options: object) -> Job:
    values = job.config.model_dump(mode="json")
    values["algorithm"]["local"] = {**values["algorithm"]["local"], **options}
    return replace(job, config=type(job.config).model_validate(values))


def test_nothing_is_said_of_what_is_plain(job: Job) -> None:
    assert advice(job) == []


def test_a_hospital_without_events_and_risk_sets_of_batches_are_said(job: Job) -> None:
    first, *_ = job.sites
    rows = job.sites[first].rows.train
    silent = (
        f"{first}: none of its {rows} training rows has an event; it evaluates, and does not train"
    )
    assert advice(survival(job, None)) == [silent]
    said = advice(survival(job, 4))
    assert said[0] == silent
    assert "in its batch of 4 alone (algorithm.local.batch_size)" in said[1]


def test_sizes_that_count_twice_are_said(job: Job, tmp_path: Path) -> None:
    for overrides, times in (
        (["algorithm.selection.name=weighted"], 1),
        (["algorithm.selection.name=weighted", "algorithm.aggregation.weighted_by=hospitals"], 0),
        (["algorithm.name=power_of_choice"], 0),
    ):
        config = load(tmp_path / "params.yaml", overrides)
        found = advice(replace(job, config=config))
        assert len(found) == times
        assert all("draws larger hospitals more often" in line for line in found)


def test_a_threshold_without_a_yes_or_no_is_said(job: Job, tmp_path: Path) -> None:
    given = ["evaluation.threshold=0.2", "algorithm.local.batch_size=null"]
    config = load(tmp_path / "params.yaml", given)
    assert advice(replace(job, config=config)) == []
    (said,) = advice(OfSurvival(**{**vars(job), "config": config}))
    assert said == "evaluation.threshold 0.2 has no effect: it is of yes/no questions"
