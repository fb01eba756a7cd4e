"""What all sides agree on before the first round: a model's inputs, their scaling, the target's.

Every hospital says a summary of its training rows, the summaries are merged, and each side works
out the same `Encoding` from them; a simulation takes the same way as a deployment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from federated.errors import DataError
from federated.inputs import Inputs, inputs_of
from federated.records import RawHospital
from federated.schema import Coverage, ImageSchema, TableSchema, Value
from federated.statistics import (
    FEWEST_PATIENTS,
    FeatureStatistics,
    Sums,
    TargetScale,
    beside,
    finish,
    fit,
    means,
    merge_sums,
    squares,
    sums,
    unsaid,
    unscaled,
)
from federated.tally import Tally, merge, readable, tally

Scaling = Literal["hospital", "federated", "off"]
Schema = TableSchema | ImageSchema


@dataclass(frozen=True)
class Summary:
    """Of one hospital's training rows. sums: of each feature, 0 where it is not scaled by all
    hospitals' figures, then of a value as target. tally: of a table."""

    sums: Sums
    tally: Tally | None


@dataclass(frozen=True)
class Encoding:
    """How rows become inputs. inputs: of a table. statistics: one for all hospitals, or one each,
    in their order (by_hospital); then read has each one's columns that do not read as missing."""

    schema: Schema
    inputs: Inputs | None
    statistics: tuple[FeatureStatistics, ...]
    by_hospital: bool
    target: TargetScale
    read: tuple[tuple[bool, ...], ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the inputs that a model sees of a row: (D,) or (c, h, w)."""
        if isinstance(self.schema, ImageSchema):
            return self.schema.shape
        return (len(self.names),)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each input of a table, such as `age`, `chol missing` and `cp=2`."""
        return () if self.inputs is None else self.inputs.names

    @property
    def codes(self) -> int:
        """How many codes end a row, each in place of a column's inputs; 0 where all are inputs."""
        return len(self.inputs.coded) if self.inputs is not None and self.inputs.wide else 0

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what the model makes no use of."""
        return () if self.inputs is None else self.inputs.notes


def measured(schema: Schema) -> int:
    """How many numbers are summed: one a feature, or an image's channel, and a value as target."""
    return len(unscaled(schema).mean) + isinstance(schema.question, Value)


def summary(raw: RawHospital, scaling: Scaling) -> Summary:
    """First exchange. Raises DataError, naming hospital and column, for numbers too large."""
    schema = raw.schema
    try:
        found = sums(raw.training_features, schema) if scaling == "federated" else unsaid(schema)
        if isinstance(schema.question, Value):
            found = beside(found, sums(*_values(raw)))
    except DataError as error:
        raise DataError(f"hospital {raw.name!r}: {error}") from error
    if isinstance(schema, ImageSchema):
        return Summary(found, None)
    return Summary(found, tally(raw.training_features, schema, raw.training_patients))


def squared(raw: RawHospital, scaling: Scaling, mean: Sequence[float]) -> tuple[float, ...]:
    """Second exchange: Σ (x - mean)² of what `summary` has summed."""
    size = len(unscaled(raw.schema).mean)
    features = (0.0,) * size
    if scaling == "federated":
        features = squares(raw.training_features, raw.schema, mean[:size])
    if not isinstance(raw.schema.question, Value):
        return features
    return features + squares(*_values(raw), mean[size:])


def merged(parts: Sequence[Summary]) -> Summary:
    """All hospitals' summaries."""
    tallies = [part.tally for part in parts if part.tally is not None]
    return Summary(merge_sums([part.sums for part in parts]), merge(tallies) if tallies else None)


def agreed(
    schema: Schema,
    scaling: Scaling,
    missing_indicators: bool,
    found: Tally | None,
    statistics: FeatureStatistics,
) -> Encoding:
    """From all hospitals' tally, and statistics of what was summed. Raises DataError where
    nothing is left to learn from."""
    size = len(unscaled(schema).mean)
    features = FeatureStatistics(
        statistics.mean[:size], statistics.std[:size], statistics.count[:size]
    )
    center, scale = (*statistics.mean[size:], 0.0)[0], (*statistics.std[size:], 1.0)[0]
    target = TargetScale(center, scale or 1.0)
    if scaling != "federated":
        features = unscaled(schema)
    if isinstance(schema, ImageSchema) or found is None:
        return Encoding(schema, None, (features,), False, target)
    varies = [s > 0 for s in features.std] if scaling == "federated" else found.varies
    inputs = inputs_of(schema, found, varies, missing_indicators)
    return Encoding(schema, inputs, (features,), False, target)


def fit_encoding(
    hospitals: Sequence[RawHospital], scaling: Scaling, missing_indicators: bool
) -> Encoding:
    """Both exchanges in one place, over training rows alone. With `hospital` each one's features
    are scaled by its own figures."""
    whole = merged([summary(raw, scaling) for raw in hospitals])
    mean = means(whole.sums)
    statistics = finish(whole.sums, [squared(raw, scaling, mean) for raw in hospitals])
    found = agreed(hospitals[0].schema, scaling, missing_indicators, whole.tally, statistics)
    if scaling != "hospital":
        return found
    each = tuple(_alone(raw) for raw in hospitals)
    read = tuple(tuple(_read(raw)) for raw in hospitals)
    return Encoding(found.schema, found.inputs, each, True, found.target, read)


def noted(raw: RawHospital) -> Coverage:
    """The hospital's coverage, with a note on the columns that it knows of too few patients."""
    columns = raw.schema.columns if isinstance(raw.schema, TableSchema) else ()
    few = [c.name for c, known in zip(columns, _read(raw), strict=True) if not known]
    if not few:
        return raw.coverage
    why = f"fewer than {FEWEST_PATIENTS} training patients have a value"
    note = f"{raw.name}: {', '.join(few)} read as missing: {why}"
    return raw.coverage.model_copy(update={"notes": (*raw.coverage.notes, note)})


def with_notes(coverage: Coverage, encoding: Encoding) -> Coverage:
    """With the notes on what the model makes no use of."""
    return coverage.model_copy(update={"notes": (*coverage.notes, *encoding.notes)})


def _read(raw: RawHospital) -> list[bool]:
    if isinstance(raw.schema, ImageSchema):
        return []
    found: list[bool] = readable(raw.training_features).tolist()
    return found


def _alone(raw: RawHospital) -> FeatureStatistics:
    """A hospital's own figures of its features."""
    try:
        return fit([raw.training_features], raw.schema)
    except DataError as error:
        raise DataError(f"hospital {raw.name!r}: {error}") from error


def _values(raw: RawHospital) -> tuple[Tensor, TableSchema]:
    """The training rows' values to be predicted, [n, 1], and the schema of a table of them."""
    schema = raw.schema
    alone = TableSchema(columns=schema.targets, target=schema.target, question=schema.question)
    values = raw.targets[raw.train][:, None]
    return values if raw.trains_on >= FEWEST_PATIENTS else values[:0], alone
