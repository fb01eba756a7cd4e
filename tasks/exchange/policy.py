"""What a hospital allows, and what a job is about to do there.

The hospital's own site.yaml decides, at the hospital, before anything is computed.
"""

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from federated.config import Config
from federated.schema import ImageSchema, TableSchema
from federated.sections import Section
from federated.weights import digest, digest_json
from tasks.exchange import canonical

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
Name = Annotated[str, StringConstraints(min_length=1)]
LEAVES = (
    "one update of the model a round (and, for scaffold, one of its control variate)",
    "counts: rows, training steps, how many test rows have which score",
    "sums of each numeric column over all training rows, if scaling is federated, and of a value "
    "that is predicted",
    "how many training patients have each category, and lack each column (1 to 4 are said as 1)",
    "the schema: names, kinds and codes of columns; how many raw rows were kept",
)


class Policy(Section):
    """site.yaml's `policy`. null allows any. min_rows: training rows that this hospital must have,
    or patients where its data name them (a model of few patients tells more of each). hours: local
    time, may cross midnight."""

    models: tuple[Name, ...] | None = Field(strict=False)
    algorithms: tuple[Name, ...] | None = Field(strict=False)
    columns: tuple[Name, ...] | None = Field(strict=False)
    max_rounds: int | None = Field(ge=1)
    min_rows: int = Field(ge=1)
    hours: str | None
    approval: Literal["required", "not_required"]

    @model_validator(mode="after")
    def _has_hours(self) -> Self:
        if self.hours is not None and not _HOURS.fullmatch(self.hours):
            raise ValueError(f"policy.hours: {self.hours!r} is not like 07:00-19:00")
        return self


@dataclass(frozen=True)
class Plan:
    """What a job does at a hospital. local: the local rule and its options; leaves: sentences.
    settings: SHA-256 of the whole configuration, so that what is approved cannot change."""

    run: str
    model: str
    algorithm: str
    local: str
    columns: tuple[str, ...]
    target: str
    rounds: int
    leaves: tuple[str, ...]
    settings: str

    @property
    def digest(self) -> str:
        """SHA-256 of the plan."""
        return digest(canonical.to_bytes({k: _plain(v) for k, v in asdict(self).items()}))

    def markdown(self) -> str:
        """For whoever approves it."""
        rows = {
            "Model": self.model,
            "Algorithm": self.algorithm,
            "Rounds": str(self.rounds),
            "Target": self.target,
            "SHA-256 of all settings": f"`{self.settings}`",
        }
        table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
        leaves = "\n".join(f"- {one}" for one in self.leaves)
        return (
            f"# Job {self.run}\n\n| What | This job |\n|---|---|\n{table}\n\n"
            f"**Local training** {self.local}\n\n**Columns** {', '.join(self.columns)}\n\n"
            f"**What leaves this hospital**\n\n{leaves}\n\nSHA-256 of this plan: `{self.digest}`\n"
        )


def plan_of(config: Config, schema: TableSchema | ImageSchema, run: str) -> Plan:
    """What this configuration does with data of this schema."""
    rules = config.algorithm.rules
    chosen = {name: value for name, value in vars(rules.local).items() if value is not None}
    options = [f"{name} {json.dumps(value)}" for name, value in sorted(chosen.items())]
    if isinstance(schema, ImageSchema):
        columns, targets = ["pixels"], [schema.target]
    else:
        columns = [column.name for column in schema.columns]
        targets = [column.name for column in schema.targets]
    return Plan(
        run=run,
        model=str(config.model["name"]),
        algorithm=rules.name,
        local=", ".join([rules.names["local"], *options]),
        columns=tuple(columns),
        target=", ".join(targets),
        rounds=config.run.rounds,
        leaves=LEAVES,
        settings=digest_json(config.model_dump(mode="json")),
    )


def examine(policy: Policy, plan: Plan, rows: int, now: datetime) -> tuple[str, ...]:
    """Every reason why the job is refused; none if it is allowed. rows: this hospital's training
    rows, or patients where its data name them; now: local time."""
    found = [
        *_unlisted("model", (plan.model,), policy.models),
        *_unlisted("algorithm", (plan.algorithm,), policy.algorithms),
        *_unlisted("column", plan.columns, policy.columns),
    ]
    if policy.max_rounds is not None and plan.rounds > policy.max_rounds:
        found.append(f"{plan.rounds} rounds are asked, at most {policy.max_rounds} are allowed")
    if rows < policy.min_rows:
        found.append(
            f"the hospital has fewer than the {policy.min_rows} rows, or patients, that it asks of "
            "itself"
        )
    if policy.hours is not None and not within(policy.hours, now):
        found.append(f"jobs begin at {policy.hours} local time, it is {now:%H:%M}")
    return tuple(found)


def within(hours: str, now: datetime) -> bool:
    """Is it one of these hours? 22:00-06:00 crosses midnight."""
    begin, end = hours.split("-")
    clock = f"{now:%H:%M}"
    return begin <= clock < end if begin <= end else clock >= begin or clock < end


def _unlisted(what: str, asked: tuple[str, ...], allowed: tuple[str, ...] | None) -> list[str]:
    odd = [name for name in asked if allowed is not None and name not in allowed]
    return [f"{what} {', '.join(odd)}: not allowed here"] if odd else []


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
