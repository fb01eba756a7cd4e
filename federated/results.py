"""The typed results of a run: what `reports/` holds, without time, run id or path."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, JsonValue

from federated.curves import Curve
from federated.metrics import Measured, Metrics, Reading, Worst, summary
from federated.objectives import reading_of
from federated.schema import Coverage, Record

ALL = "global"
"""The name under which figures over all hospitals together stand beside the hospitals'."""


_USUAL = "classification"


class Aliased(Record):
    """A record with a JSON key that Python reserves."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)


class Examples(Record):
    """Rows of one hospital."""

    train: int
    test: int
    validation: int = 0


def _known(kind: str) -> str:
    reading_of(kind)
    return kind


class RunFacts(Record):
    """What was trained, on whose data, by which rules."""

    objective: Annotated[str, AfterValidator(_known)] = Field(
        default=_USUAL, exclude_if=_USUAL.__eq__
    )
    """Kind of the question (`federated/objectives/`); left out of the file if it is usual."""
    event: str | None = Field(default=None, exclude_if=lambda name: name is None)
    """Of two classes the one that AUPRC, F1 and calibration are of."""
    threshold: float | None = Field(default=None, exclude_if=lambda at: at is None)
    """The probability above which yes is said, of two classes and of labels."""
    dataset: str
    partition: str
    model: str
    algorithm: str
    rules: dict[str, dict[str, JsonValue]]
    """local, aggregation, server, selection → name and options."""
    rounds: int
    kept: int
    """The round whose model is the result."""
    seed: int
    scaling: str
    parameters: int
    """Numbers in the model's weights."""
    examples: dict[str, Examples]
    steps: int
    """Gradient steps of all hospitals in all rounds."""
    sent: int
    """Bytes of all hospitals' updates in all rounds."""
    data: dict[str, str]
    """hospital → MD5 of its data, as DVC has it."""
    config: str
    """Digest of the configuration."""


class Alone(Record):
    """Each hospital's own model, trained without the others, on its own test rows."""

    hospitals: dict[str, Metrics]
    all: Metrics
    """From the merged counts: every row judged by its own hospital's model."""
    mean: dict[str, float | None]
    """metric → mean over the hospitals that have it."""


class Pooled(Record):
    """One model, and its figures at each hospital: trained on all rows in one place, which is a
    simulation's privilege, or by the plain mean in place of a robust rule."""

    hospitals: dict[str, Metrics]
    all: Metrics


class Baselines(Record):
    """What the federated model is compared with; None where not trained."""

    alone: Alone | None = None
    pooled: Pooled | None = None
    plain: Pooled | None = Field(default=None, exclude_if=lambda found: found is None)
    """Left out of the file where no robust rule aggregated."""


class Results(Aliased):
    """metrics.json: the final figures, for people and for `dvc metrics show`."""

    overall: Metrics = Field(alias=ALL)
    hospitals: dict[str, Metrics]
    worst_hospital: dict[str, Worst | None]
    spread: dict[str, float | None]
    undefined: dict[str, int]
    baselines: Baselines
    run: RunFacts

    @property
    def reading(self) -> Reading:
        """How the figures are read, at the share of rows that have the event."""
        return reading_of(self.run.objective).at(self.overall.prevalence)


class Curves(Aliased):
    """evaluation.json: what is plotted, and what became of every hospital's rows."""

    overall: Curve = Field(alias=ALL)
    hospitals: dict[str, Curve]
    coverage: dict[str, Coverage]


class RoundRow(Measured):
    """A line of rounds.csv: the global model after a round, at one hospital or at all."""

    round: int
    hospital: str
    train_loss: float | None
    bytes_sent: int | None


def results(
    overall: Metrics, hospitals: dict[str, Metrics], baselines: Baselines, run: RunFacts
) -> Results:
    """Results with the differences between hospitals worked out."""
    between = summary(hospitals, reading_of(run.objective).measures)
    return Results(
        overall=overall,
        hospitals=hospitals,
        worst_hospital=between.worst,
        spread=between.spread,
        undefined=between.undefined,
        baselines=baselines,
        run=run,
    )


def alone(hospitals: dict[str, Metrics], overall: Metrics, reading: Reading) -> Alone:
    """The baseline of hospitals alone, with its means."""
    mean = summary(hospitals, reading.measures).mean
    return Alone(hospitals=hospitals, all=overall, mean=mean)


def round_row(
    round_: int, hospital: str, train_loss: float | None, sent: int | None, found: Metrics
) -> RoundRow:
    """A line of rounds.csv. train_loss, sent (bytes): None where the hospital did not train."""
    return RoundRow(
        round=round_, hospital=hospital, train_loss=train_loss, bytes_sent=sent, **found.values
    )
