"""Mean and standard deviation of every feature over all hospitals, without pooling a row.

Two exchanges: counts and sums go out and the mean comes back; then sums of squared distances
from that mean. Every sum is exact or rounded once (math.fsum), so hospitals may answer in any
order and a constant column has a standard deviation of exactly 0. Only numeric columns are
summed: the others are not scaled, and nothing about them leaves a hospital. Nor is a column
that a hospital knows of fewer than FEWEST_PATIENTS training patients: its sums would nearly be
their values, so to everyone else that column is missing there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from torch import Tensor

from federated.errors import DataError
from federated.schema import ImageSchema, TableSchema

FEWEST_PATIENTS = 5
_MOST = 1e140  # the squares of so many values as there are people still have a sum
_LEVELS = 256
_UNIT = 2**64  # a float of 1/255 … 1 is a whole number of 1/_UNIT
_SHADES = [int(Fraction(k / (_LEVELS - 1)) * _UNIT) for k in range(_LEVELS)]


@dataclass(frozen=True)
class Sums:
    """What a hospital sends first, one entry a feature (an image's channel).

    count: values that are not missing, 0 below FEWEST_PATIENTS.
    total + rest: their sum to twice a float's precision.
    """

    count: tuple[int, ...]
    total: tuple[float, ...]
    rest: tuple[float, ...]


@dataclass(frozen=True)
class FeatureStatistics:
    """One entry a feature; std has ddof=1, and is 0 where all values are equal or there is none."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    count: tuple[int, ...]


@dataclass(frozen=True)
class TargetScale:
    """A value as target y is learnt as (y - center) / scale."""

    center: float = 0.0
    scale: float = 1.0


AS_IT_IS = TargetScale()


def sums(features: Tensor, schema: TableSchema | ImageSchema) -> Sums:
    """First exchange. features: training rows, float64 [n, F] with NaN or uint8 [n, c, h, w]."""
    if isinstance(schema, ImageSchema):
        return _pixel_sums(features)
    columns = _columns(features, schema)
    total = [math.fsum(values) for values in columns]
    rest = [math.fsum([*v, -whole]) for v, whole in zip(columns, total, strict=True)]
    return Sums(tuple(len(values) for values in columns), tuple(total), tuple(rest))


def merge_sums(parts: Sequence[Sums]) -> Sums:
    """All hospitals' sums; the same bits in any order."""
    count = tuple(sum(counts) for counts in zip(*(p.count for p in parts), strict=True))
    pieces = zip(*(zip(p.total, p.rest, strict=True) for p in parts), strict=True)
    flat = [[number for pair in pairs for number in pair] for pairs in pieces]
    total = tuple(math.fsum(numbers) for numbers in flat)
    rest = [math.fsum([*numbers, -whole]) for numbers, whole in zip(flat, total, strict=True)]
    return Sums(count, total, tuple(rest))


def means(merged: Sums) -> tuple[float, ...]:
    """Each feature's mean, correctly rounded; 0 where there is no value."""
    rows = zip(merged.count, merged.total, merged.rest, strict=True)
    return tuple(float((Fraction(t) + Fraction(r)) / n) if n else 0.0 for n, t, r in rows)


def squares(
    features: Tensor, schema: TableSchema | ImageSchema, mean: Sequence[float]
) -> tuple[float, ...]:
    """Second exchange: Σ (x - mean)² of each feature over the same training rows."""
    if isinstance(schema, ImageSchema):
        shades = [k / (_LEVELS - 1) for k in range(_LEVELS)]
        return tuple(
            math.fsum(n * (shade - m) ** 2 for n, shade in zip(counts, shades, strict=True))
            for counts, m in zip(_histograms(features), mean, strict=True)
        )
    columns = zip(_columns(features, schema), mean, strict=True)
    return tuple(math.fsum((x - m) ** 2 for x in values) for values, m in columns)


def finish(merged: Sums, parts: Sequence[Sequence[float]]) -> FeatureStatistics:
    """The pooled mean and standard deviation from merged sums and every hospital's squares."""
    totals = [math.fsum(column) for column in zip(*parts, strict=True)]
    pairs = zip(totals, merged.count, strict=True)
    std = tuple(math.sqrt(total / (n - 1)) if n > 1 else 0.0 for total, n in pairs)
    return FeatureStatistics(means(merged), std, merged.count)


def fit(hospitals: Sequence[Tensor], schema: TableSchema | ImageSchema) -> FeatureStatistics:
    """Both exchanges over the training rows of one hospital or of many."""
    merged = merge_sums([sums(features, schema) for features in hospitals])
    mean = means(merged)
    return finish(merged, [squares(features, schema, mean) for features in hospitals])


def beside(left: Sums, right: Sums) -> Sums:
    """The entries of one after those of the other, of the same hospital."""
    total, rest = left.total + right.total, left.rest + right.rest
    return Sums(left.count + right.count, total, rest)


def unsaid(schema: TableSchema | ImageSchema) -> Sums:
    """Of features that are not scaled: nothing is known of any."""
    size = len(unscaled(schema).mean)
    return Sums((0,) * size, (0.0,) * size, (0.0,) * size)


def unscaled(schema: TableSchema | ImageSchema) -> FeatureStatistics:
    """Mean 0 and standard deviation 1: features stay as they are."""
    size = schema.shape[0] if isinstance(schema, ImageSchema) else len(schema.columns)
    return FeatureStatistics((0.0,) * size, (1.0,) * size, (0,) * size)


def _columns(features: Tensor, schema: TableSchema) -> list[list[float]]:
    """The known values of each numeric column; none of a column that few patients have.

    Raises DataError, naming the column, for values whose squares cannot be summed.
    """
    found: list[list[float]] = []
    for i, column in enumerate(schema.columns):
        values = features[:, i].double()
        known = values[~values.isnan()] if column.kind == "numeric" else values[:0]
        if len(known) and float(known.abs().max()) > _MOST:
            raise DataError(
                f"column {column.name!r} holds values beyond {_MOST:g} in size: give its range "
                "(low, high) in data.source.schema, or name it in data.source.drop"
            )
        found.append(known.tolist() if len(known) >= FEWEST_PATIENTS else [])
    return found


def _pixel_sums(pixels: Tensor) -> Sums:
    """Sums over pixels / 255 of each channel."""
    histograms = _histograms(pixels)
    units = [sum(n * s for n, s in zip(counts, _SHADES, strict=True)) for counts in histograms]
    exact = [Fraction(whole, _UNIT) for whole in units]
    total = [float(whole) for whole in exact]
    rest = tuple(float(whole - Fraction(t)) for whole, t in zip(exact, total, strict=True))
    return Sums(tuple(sum(counts) for counts in histograms), tuple(total), rest)


def _histograms(pixels: Tensor) -> list[list[int]]:
    """How often each of the 256 shades occurs in each channel of uint8 [n, c, h, w]."""
    channels = pixels.numpy().swapaxes(0, 1)  # numpy counts bytes a hundred times as fast
    return [np.bincount(c.ravel(), minlength=_LEVELS).tolist() for c in channels]
