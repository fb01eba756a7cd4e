"""Breast Cancer Wisconsin (Diagnostic): 569 cell-nucleus measurements, in scikit-learn's wheel.

Wolberg, Mangasarian, Street, Street 1995; doi 10.24432/C5DW2B, CC BY 4.0. Names no hospitals.
"""

from __future__ import annotations

from pathlib import Path

from federated import records
from federated.plugins import options
from federated.schema import Column, TableSchema


@options
class BreastCancer:
    """No options."""

    @property
    def files(self) -> tuple[str, ...]:
        """None: the data come with scikit-learn."""
        return ()

    def read(self, project: Path) -> records.Table:
        """569 rows, 30 numeric features; class 1 is malignant (scikit-learn codes it 0)."""
        from sklearn.datasets import load_breast_cancer

        data = load_breast_cancer(as_frame=True)
        names = [str(name).replace(" ", "_") for name in data.feature_names]
        frame = data.data.set_axis(names, axis="columns")
        frame = frame.set_axis(range(1, len(frame) + 1), axis="index")
        frame["diagnosis"] = ["malignant" if code == 0 else "benign" for code in data.target]
        schema = TableSchema(
            columns=tuple(Column(name=name, kind="numeric", low=0) for name in names),
            target="diagnosis",
            classes=("benign", "malignant"),
        )
        return records.Table(frame, schema, None, "scikit-learn's breast cancer data")
