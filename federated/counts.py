"""What evaluation needs to know of a hospital's rows, as integers that merge by addition.

Integers add in any order to the same bits, so the overall metrics need no row to travel and do
not depend on which hospital answers first. Sums of real numbers are kept as fixed point: the
float64 sum over one hospital's rows, times 2^32, rounded to nearest.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from federated.errors import DataError
from federated.loss import loss, probabilities
from federated.schema import outputs

Ints = NDArray[np.int64]
ONE = 2**32
"""1.0 in fixed point."""


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts over some rows, for C classes, B score bins and M calibration bins.

    rows: number of rows; loss, brier: fixed-point sums over the rows.
    confusion: [C, C], row true class, column predicted class.
    scores: [K', 2, B], rows by P(class), [:, 1] those of the class and [:, 0] the others. Two
        classes: K' = 1, class 1; more: K' = C, one against the rest. Bin b is [b/B, (b+1)/B).
    calibration: [3, M]: rows, fixed-point sum of confidence, and hits per bin of confidence. Two
        classes: P(class 1), hit if class 1; more: the top class's P, hit if right (Guo et al.
        2017, arXiv:1706.04599).
    """

    rows: int
    loss: int
    brier: int
    confusion: Ints
    scores: Ints
    calibration: Ints

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return len(self.confusion)


def count(
    logits: Tensor, targets: Tensor, classes: int, score_bins: int, calibration_bins: int
) -> Counts:
    """Counts of logits [n, K] (K = 1 for two classes, else C) against targets int64 [n].

    Class 1 of two is predicted where its logit is above 0. Computed in float64.
    Raises ValueError for non-finite logits, a class out of range, or shapes that do not fit.
    """
    _check(logits, targets, classes)
    wide = logits.detach().to("cpu", torch.float64)
    truth = targets.detach().cpu()
    chance, true = probabilities(wide).numpy(), truth.numpy()
    predicted = chance.argmax(axis=1) if classes > 2 else (wide.numpy()[:, 0] > 0).astype(np.int64)
    pairs = np.bincount(true * classes + predicted, minlength=classes**2)
    is_class = true[:, None] == np.arange(classes)
    if classes == 2:
        chance, is_class = chance[:, 1:], is_class[:, 1:]
        confidence, hit = chance[:, 0], is_class[:, 0]
    else:
        confidence, hit = chance.max(axis=1), predicted == true
    return Counts(
        rows=len(true),
        loss=_fixed(float(loss(wide, truth, reduction="sum")), "loss"),
        brier=_fixed(float(np.square(chance - is_class).sum()), "Brier score"),
        confusion=pairs.reshape(classes, classes),
        scores=_scores(chance, is_class, score_bins),
        calibration=_calibration(confidence, hit, calibration_bins),
    )


def merge(parts: Sequence[Counts]) -> Counts:
    """The counts of all parts' rows together, the same bits in any order.

    Raises ValueError for no parts, or parts with other classes or bins.
    """
    if not parts:
        raise ValueError("no counts to merge")
    shapes = {(p.confusion.shape, p.scores.shape, p.calibration.shape) for p in parts}
    if len(shapes) > 1:
        raise ValueError(f"counts differ in classes or bins: {sorted(shapes)}")
    return Counts(
        rows=sum(p.rows for p in parts),
        loss=sum(p.loss for p in parts),
        brier=sum(p.brier for p in parts),
        confusion=np.sum([p.confusion for p in parts], axis=0),
        scores=np.sum([p.scores for p in parts], axis=0),
        calibration=np.sum([p.calibration for p in parts], axis=0),
    )


def to_dict(counts: Counts) -> dict[str, Any]:
    """Plain integers and nested lists, for JSON."""
    values = {f.name: getattr(counts, f.name) for f in fields(Counts)}
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}


def from_dict(values: Mapping[str, Any]) -> Counts:
    """Counts from `to_dict`'s form. Raises DataError where it is not one, or contradicts itself."""
    names = {f.name for f in fields(Counts)}
    if set(values) != names:
        raise DataError(f"counts: expected {sorted(names)}, got {sorted(values)}")
    counts = Counts(
        rows=_whole("rows", values["rows"]),
        loss=_whole("loss", values["loss"]),
        brier=_whole("brier", values["brier"]),
        confusion=_array("confusion", values["confusion"], 2),
        scores=_array("scores", values["scores"], 3),
        calibration=_array("calibration", values["calibration"], 2),
    )
    if not _consistent(counts):
        raise DataError("counts: shapes or totals contradict each other")
    return counts


def _consistent(counts: Counts) -> bool:
    """Do shapes and totals agree?"""
    classes = counts.classes
    groups = 1 if classes == 2 else classes
    if classes < 2 or counts.confusion.shape != (classes, classes):
        return False
    if counts.scores.shape[:2] != (groups, 2) or len(counts.calibration) != 3:
        return False
    rows, _, hits = counts.calibration
    of_class = counts.confusion.sum(axis=1)[-groups:]
    return bool(
        counts.confusion.sum() == rows.sum() == counts.rows
        and (counts.scores.sum(axis=(1, 2)) == counts.rows).all()
        and (counts.scores[:, 1].sum(axis=1) == of_class).all()
        and (hits <= rows).all()
    )


def _check(logits: Tensor, targets: Tensor, classes: int) -> None:
    if classes < 2 or logits.shape != (len(targets), outputs(classes)) or targets.ndim != 1:
        shapes = f"logits {tuple(logits.shape)}, targets {tuple(targets.shape)}"
        raise ValueError(f"{shapes}: expected ({len(targets)}, K) and {classes} classes")
    if not bool(torch.isfinite(logits).all()):
        raise ValueError("the model's logits are not finite (NaN or infinity)")
    if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < classes:
        raise ValueError(f"a target is not a class index in 0 … {classes - 1}")


def _fixed(value: float, what: str) -> int:
    """`value` in fixed point, rounded to nearest."""
    if not math.isfinite(value * ONE):
        raise ValueError(f"the {what} is not finite")
    return round(value * ONE)


def _bins(values: NDArray[np.float64], bins: int) -> Ints:
    """The bin of every value in 0 … 1, as index; 1.0 is in the last."""
    return np.minimum((values * bins).astype(np.int64), bins - 1)


def _scores(chance: NDArray[np.float64], is_class: NDArray[np.bool_], bins: int) -> Ints:
    """[n, K'] probabilities → histograms [K', 2, B]."""
    groups = chance.shape[1]
    index = (np.arange(groups) * 2 + is_class) * bins + _bins(chance, bins)
    return np.bincount(index.ravel(), minlength=groups * 2 * bins).reshape(groups, 2, bins)


def _calibration(confidence: NDArray[np.float64], hit: NDArray[np.bool_], bins: int) -> Ints:
    """[n] confidences and hits → [3, M]: rows, fixed-point confidence, hits."""
    index = _bins(confidence, bins)
    summed = np.bincount(index, weights=confidence, minlength=bins)
    return np.stack(
        [
            np.bincount(index, minlength=bins),
            np.rint(summed * ONE).astype(np.int64),
            np.bincount(index[hit], minlength=bins),
        ]
    )


def _whole(name: str, value: object) -> int:
    if type(value) is not int or value < 0:
        raise DataError(f"counts: {name} is not a whole number ≥ 0")
    return value


def _array(name: str, value: object, dimensions: int) -> Ints:
    """A non-negative int64 array from nested lists."""
    try:
        array = np.array(value)
    except ValueError:
        raise DataError(f"counts: {name} is ragged") from None
    if array.ndim != dimensions or array.dtype != np.int64 or array.size == 0 or array.min() < 0:
        raise DataError(f"counts: {name} is not a {dimensions}-d array of whole numbers ≥ 0")
    return array
