"""The typed results of a run: what `reports/` holds, without time, run id or path."""

from pydantic import ConfigDict, Field, JsonValue

from federated.counts import Counts
from federated.curves import Calibration, Points, calibration_points, roc_points
from federated.metrics import METRICS, Metrics, Worst, summary
from federated.schema import Coverage, Record

ALL = "global"
"""The name under which figures over all hospitals together stand beside the hospitals'."""


class Aliased(Record):
    """A record with a JSON key that Python reserves."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)


class Examples(Record):
    """Rows of one hospital."""

    train: int
    test: int


class RunFacts(Record):
    """What was trained, on whose data, by which rules."""

    dataset: str
    partition: str
    model: str
    algorithm: str
    rules: dict[str, dict[str, JsonValue]]
    """local, aggregation, server, selection → name and options."""
    rounds: int
    seed: int
    scaling: str
    parameters: int
    """Numbers in the model's weights."""
    examples: dict[str, Examples]
    steps: int
    """Gradient steps of all hospitals in all rounds."""
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
    """One model trained on all rows in one place: a simulation's privilege."""

    hospitals: dict[str, Metrics]
    all: Metrics


class Baselines(Record):
    """What the federated model is compared with; None where not trained."""

    alone: Alone | None = None
    pooled: Pooled | None = None


class Results(Aliased):
    """metrics.json: the final figures, for people and for `dvc metrics show`."""

    overall: Metrics = Field(alias=ALL)
    hospitals: dict[str, Metrics]
    worst_hospital: dict[str, Worst | None]
    spread: dict[str, float | None]
    undefined: dict[str, int]
    baselines: Baselines
    run: RunFacts


class Curve(Record):
    """ROC points (empty where undefined) and calibration bins over some test rows."""

    roc: Points
    calibration: tuple[Calibration, ...]


class Curves(Aliased):
    """evaluation.json: what is plotted, and what became of every hospital's rows."""

    overall: Curve = Field(alias=ALL)
    hospitals: dict[str, Curve]
    coverage: dict[str, Coverage]


class RoundRow(Record):
    """A line of rounds.csv: the global model after a round, at one hospital or at all."""

    round: int
    hospital: str
    train_loss: float | None
    loss: float | None
    accuracy: float | None
    balanced_accuracy: float | None
    auroc: float | None
    auprc: float | None
    f1: float | None
    brier: float | None
    ece: float | None


def results(
    overall: Metrics, hospitals: dict[str, Metrics], baselines: Baselines, run: RunFacts
) -> Results:
    """Results with the differences between hospitals worked out."""
    between = summary(hospitals)
    return Results(
        overall=overall,
        hospitals=hospitals,
        worst_hospital=between.worst,
        spread=between.spread,
        undefined=between.undefined,
        baselines=baselines,
        run=run,
    )


def alone(hospitals: dict[str, Metrics], overall: Metrics) -> Alone:
    """The baseline of hospitals alone, with its means."""
    return Alone(hospitals=hospitals, all=overall, mean=summary(hospitals).mean)


def curve(counts: Counts) -> Curve:
    """Both curves of the rows counted."""
    return Curve(roc=roc_points(counts), calibration=calibration_points(counts))


def round_row(round_: int, hospital: str, train_loss: float | None, found: Metrics) -> RoundRow:
    """A line of rounds.csv. train_loss: None where the hospital did not train."""
    values = {m.name: getattr(found, m.name) for m in METRICS}
    return RoundRow(round=round_, hospital=hospital, train_loss=train_loss, **values)
