"""Made-up hospitals for tests of scale: sizes, label shift and feature shift as asked for.

Patients: x = m_h + ε with m_h ~ feature_shift·N(0, I), ε ~ N(0, I). Their score is
s = 3 w·x + b_h, w of unit length, b_h ~ label_shift·N(0, 1). What is asked of them:

yes_no: yes with probability σ(s). value: s + N(0, 1). labels: a with σ(s), b with σ(-s/2), c with
σ(s - 2). survival: the event after an exponential time of hazard e^(s/3) / 10, or censored before
by another of hazard 1/20.

With `shape` they have an image each and a class to be told from it (`_synthetic_images.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from federated import records
from federated.datasets._synthetic_images import classes_of, pixels_of
from federated.errors import ConfigError
from federated.plugins import options
from federated.schema import Column, ImageSchema, Labels, Question, Survival, TableSchema, Value
from federated.seeds import seed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEEPNESS = 3.0
_LEAST_ROWS = 20
Side = Annotated[int, Field(ge=1, le=4096)]
Share = Annotated[float, Field(ge=0, le=10)]


@options
class Synthetic:
    """hospitals: how many. rows: mean rows of a hospital. features: numeric columns.
    label_shift, feature_shift: spread between hospitals, 0 is none. size_skew: σ of log-normal
    sizes, 0 makes them equal; no hospital gets fewer than 20 rows (or `rows`). seed: its own.
    question: what is to be predicted, see above.
    shape: channels, height and width of images, instead of features; null makes a table. classes:
    how many the images have; label_shift and feature_shift are then in P(class) and brightness."""

    hospitals: Annotated[int, Field(ge=1)] = 4
    rows: Annotated[int, Field(ge=2)] = 200
    features: Annotated[int, Field(ge=1)] = 10
    label_shift: Share = 0.0
    feature_shift: Share = 0.0
    size_skew: Share = 0.0
    seed: Annotated[int, Field(ge=0)] = 0
    question: Literal["yes_no", "value", "labels", "survival"] = "yes_no"
    shape: Annotated[tuple[Side, Side, Side], Field(strict=False)] | None = None
    classes: Annotated[int, Field(ge=2, le=1000)] = 10

    def __post_init__(self) -> None:
        if self.shape is not None and self.question != "yes_no":
            raise ConfigError(
                f"data.source.question {self.question!r}: made-up images have classes and nothing "
                "else to be predicted; leave out question, or shape"
            )

    @property
    def files(self) -> tuple[str, ...]:
        """None: the data are generated."""
        return ()

    def read(self, project: Path) -> records.Table | records.Images:
        """About hospitals × rows rows, named hospital-1 …, in this order."""
        generator = np.random.default_rng(seed("synthetic", self.seed))
        owner = np.repeat(np.arange(self.hospitals), self._sizes(generator))
        return (
            self._table(generator, owner) if self.shape is None else self._images(generator, owner)
        )

    def _table(self, generator: np.random.Generator, owner: NDArray[np.int64]) -> records.Table:
        import pandas as pd

        values, score = self._patients(generator, owner)
        names = [f"x{i}" for i in range(1, self.features + 1)]
        index = pd.RangeIndex(1, len(owner) + 1)
        frame = pd.DataFrame(values, columns=names, index=index)
        outcome, question = _ANSWERS[self.question](generator, score)
        frame = frame.assign(**outcome)
        schema = TableSchema(
            columns=tuple(Column(name=name, kind="numeric") for name in names),
            target="outcome",
            classes=() if question else ("no", "yes"),
            question=question,
        )
        hospitals = pd.Series(self._names()[owner], index=index, dtype="str")
        return records.Table(frame, schema, hospitals, "synthetic data")

    def _images(self, generator: np.random.Generator, owner: NDArray[np.int64]) -> records.Images:
        assert self.shape is not None
        labels = classes_of(generator, owner, self.classes, self.label_shift)
        brightness = self.feature_shift * generator.standard_normal(self.hospitals)
        names = tuple(f"class {i}" for i in range(self.classes))
        return records.Images(
            pixels=pixels_of(generator, labels, brightness[owner], self.shape, self.classes),
            labels=labels,
            schema=ImageSchema(shape=self.shape, target="outcome", classes=names),
            hospitals=self._names()[owner],
            source="synthetic data",
        )

    def _names(self) -> NDArray[np.str_]:
        """Of the hospitals, in order."""
        width = len(str(self.hospitals))
        return np.array([f"hospital-{i + 1:0{width}d}" for i in range(self.hospitals)])

    def _sizes(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Rows of each hospital, int64 [hospitals]."""
        sigma = self.size_skew
        shape = generator.lognormal(-(sigma**2) / 2, sigma, self.hospitals)
        return np.maximum(np.rint(self.rows * shape), min(self.rows, _LEAST_ROWS)).astype(np.int64)

    def _patients(
        self, generator: np.random.Generator, owner: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Features float64 [n, F] and scores float64 [n]; owner: hospital of each row."""
        direction = generator.standard_normal(self.features)
        direction /= np.linalg.norm(direction)
        centre = self.feature_shift * generator.standard_normal((self.hospitals, self.features))
        bias = self.label_shift * generator.standard_normal(self.hospitals)
        values = centre[owner] + generator.standard_normal((len(owner), self.features))
        return values, _STEEPNESS * (values @ direction) + bias[owner]


def _drawn(generator: np.random.Generator, score: NDArray[np.float64]) -> NDArray[np.bool_]:
    """True with probability σ(score)."""
    return generator.random(len(score)) < 1 / (1 + np.exp(-score))


def _yes_no(generator: np.random.Generator, score: NDArray[np.float64]) -> Answers:
    import pandas as pd

    words = np.where(_drawn(generator, score), "yes", "no")
    return {"outcome": pd.array(words, dtype="str")}, None


def _value(generator: np.random.Generator, score: NDArray[np.float64]) -> Answers:
    return {"outcome": score + generator.standard_normal(len(score))}, Value()


def _labels(generator: np.random.Generator, score: NDArray[np.float64]) -> Answers:
    scores = {"a": score, "b": -score / 2, "c": score - 2}
    found = {name: _drawn(generator, own).astype(np.int64) for name, own in scores.items()}
    return found, Labels(names=tuple(scores))


def _survival(generator: np.random.Generator, score: NDArray[np.float64]) -> Answers:
    until = generator.exponential(10 * np.exp(-score / 3))
    known = generator.exponential(20, len(score))
    event = (until <= known).astype(np.int64)
    question = Survival(time="months", event="died", unit="months")
    return {"months": np.minimum(until, known), "died": event}, question


Answers = tuple[dict[str, Any], Question | None]
_ANSWERS = {"yes_no": _yes_no, "value": _value, "labels": _labels, "survival": _survival}
