from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from federated.config import load
from federated.schema import Column, TableSchema
from tasks.exchange.policy import Plan, Policy, examine, plan_of, within
from tests.conftest import ROOT

ANY: dict[str, Any] = {
    **dict.fromkeys(("models", "algorithms", "columns", "max_rounds", "hours")),
    "min_rows": 20,
    "approval": "required",
}
SCHEMA = TableSchema(
    columns=(
        Column(name="age", kind="numeric", low=0, high=120),
        Column(name="sex", kind="binary", codes=(0, 1)),
    ),
    target="ill",
    classes=("0", "1"),
)
NOON = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)


def plan() -> Plan:
    config = load(ROOT / "params.yaml", ["run.rounds=30", "algorithm.name=scaffold"])
    return plan_of(config, SCHEMA, "run-7")


def refusals(rows: int = 50, **policy: Any) -> tuple[str, ...]:
    return examine(Policy.model_validate(ANY | policy), plan(), rows, NOON)


def test_null_allows_any() -> None:
    assert refusals() == ()


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"models": ["mlp", "cnn"]}, "model logistic: not allowed here"),
        ({"algorithms": ["fedavg"]}, "algorithm scaffold: not allowed here"),
        ({"columns": ["age"]}, "column sex: not allowed here"),
        ({"max_rounds": 29}, "30 rounds are asked, at most 29 are allowed"),
        (
            {"min_rows": 51},
            "the hospital has fewer than the 51 rows, or patients, that it asks of itself",
        ),
        ({"hours": "22:00-06:00"}, "jobs begin at 22:00-06:00 local time, it is 12:30"),
    ],
)
def test_each_limit_has_a_reason(policy: dict[str, Any], reason: str) -> None:
    assert refusals(**policy) == (reason,)


def test_all_reasons_are_told_at_once() -> None:
    assert len(refusals(rows=1, models=["mlp"], max_rounds=1, hours="00:00-00:01")) == 4


def test_what_is_allowed_is_allowed() -> None:
    given = {"models": ["logistic"], "algorithms": ["scaffold"], "columns": ["age", "sex"]}
    assert refusals(**given, max_rounds=30, min_rows=50, hours="12:30-12:31") == ()


@pytest.mark.parametrize(
    ("hours", "clock", "inside"),
    [
        ("07:00-19:00", "07:00", True),
        ("07:00-19:00", "19:00", False),
        ("22:00-06:00", "23:59", True),
        ("22:00-06:00", "05:59", True),
        ("22:00-06:00", "06:00", False),
    ],
)
def test_hours_may_cross_midnight(hours: str, clock: str, inside: bool) -> None:
    hour, minute = map(int, clock.split(":"))
    assert within(hours, NOON.replace(hour=hour, minute=minute)) is inside


def test_hours_have_one_form() -> None:
    with pytest.raises(ValidationError, match="is not like 07:00-19:00"):
        Policy.model_validate(ANY | {"hours": "7-19"})


def test_a_plan_says_what_is_done_and_its_hash_stands_for_it() -> None:
    found = plan()
    text = found.markdown()
    for part in ("logistic", "scaffold", "| 30 |", "age, sex", "| ill |", found.digest):
        assert part in text
    for setting in ("run.rounds=31", "evaluation.score_bins=50000"):
        given = ["run.rounds=30", "algorithm.name=scaffold", setting]
        other = plan_of(load(ROOT / "params.yaml", given), SCHEMA, "run-7")
        assert other.digest != found.digest, setting
