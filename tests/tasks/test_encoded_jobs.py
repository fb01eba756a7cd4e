"""From a hospital's file to a trained model: few known values, many categories, large values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from federated.batched import unfit
from federated.config import load
from federated.counts import merge
from federated.federation import Standing, simulate
from federated.initial import weights_of
from tasks.coverage import notes
from tasks.engine.choose import open_engine
from tasks.export import scoring
from tasks.job import Job, load_job
from tests.conftest import ROOT, merged
from tests.tasks.test_engine import rounds

FEW = ROOT.parent / "shared" / "cases" / "few-known-values" / "one_site_few.csv"


def job(folder: Path, source: Mapping[str, Any], *overrides: str) -> Job:
    """Of a table whose hospitals are in the column `site`."""
    data = {"dataset": "table", "source": {"hospital": "site", **source}, "hospitals": []}
    values = merged(yaml.safe_load((ROOT / "params.yaml").read_text()), {"data": data})
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    return load_job(load(folder / "params.yaml", overrides), folder)


def trained(made: Job) -> Standing:
    """All rounds, one hospital after another."""
    config = made.config
    begin = weights_of(made.network)
    return simulate(config.algorithm.rules, made.local, begin, config.run.rounds, config.run.seed)


@pytest.mark.skipif(not FEW.is_file(), reason="shared/cases/few-known-values is not here")
@pytest.mark.parametrize("scaling", ["federated", "hospital"])
def test_a_hospital_that_knows_four_values_does_not_ruin_the_model(
    tmp_path: Path, scaling: str
) -> None:
    made = job(tmp_path, {"path": str(FEW), "target": "died"}, f"data.scaling={scaling}")
    end = trained(made)
    counts = [site.evaluate(end.weights, {}).test for site in made.local.values()]
    overall = merge(counts).metrics()
    assert overall["auroc"] == pytest.approx(0.83, abs=0.03)
    assert all((one.metrics()["loss"] or 1) < 0.65 for one in counts)
    few = "c: platelets read as missing: fewer than 5 training patients have a value"
    assert few in notes(list(made.coverage.values()))


def coded_file(folder: Path) -> Path:
    """5,400 rows at three hospitals, two columns of 150 codes; half of the first are deadly."""
    drawn = np.random.default_rng(1)
    icd, atc = (drawn.integers(0, 150, 5400) for _ in range(2))
    died = drawn.random(5400) < np.where(icd < 75, 0.9, 0.1)
    frame = pd.DataFrame({"icd": [f"x{i:03}" for i in icd], "atc": [f"y{i:03}" for i in atc]})
    frame["died"] = np.where(died, "yes", "no")
    frame["site"] = drawn.choice(["a", "b", "c"], 5400)
    frame.to_csv(folder / "codes.csv", index=False)
    return folder / "codes.csv"


CODES = {"target": "died", "categorical": ["icd", "atc"]}


def test_many_categories_train_as_codes_by_every_engine(tmp_path: Path) -> None:
    path = coded_file(tmp_path)
    source = {"path": str(path), "max_categories": 140, **CODES}
    found = []
    for engine_name in ("sequential", "workers"):
        made = job(tmp_path, source, f"engine.name={engine_name}", "model.name=mlp")
        assert made.preprocess.encoding.codes == 2
        assert made.preprocess.encoding.shape == (280,)  # 140 a column, less one, and other
        with open_engine(made) as (held, engine):
            found.append(rounds(held, engine, 2))
    (one, counts), (two, others) = found
    assert all(torch.equal(one.weights[k], two.weights[k]) for k in one.weights)
    assert counts.test.data == others.test.data
    assert unfit(next(iter(made.local.values()))) is not None


def test_codes_are_learnt_from_and_exported(tmp_path: Path) -> None:
    source = {"path": str(coded_file(tmp_path)), "max_categories": 145, **CODES}
    made = job(tmp_path, source, "algorithm.local.lr=1.0", "run.rounds=8")
    end = trained(made)
    counts = [site.evaluate(end.weights, {}).test for site in made.local.values()]
    assert (merge(counts).metrics()["auroc"] or 0) > 0.8
    scored = scoring(made.schema, made.preprocess, made.network, [end.weights], None, 8)
    assert np.isfinite(scored.predictions.to_numpy()).all()


def test_a_value_of_any_unit_is_learnt_alike(tmp_path: Path) -> None:
    """Costs in euros, and in millions of euros above a million."""
    drawn = np.random.default_rng(2)
    age = drawn.normal(60, 10, 300)
    cost = 20_000 + 900 * age + drawn.normal(0, 3000, 300)
    frame = pd.DataFrame({"age": age.round(), "site": drawn.choice(["a", "b"], 300)})
    found = []
    for name, values in (("euros", cost), ("millions", cost / 1e6 - 1)):
        frame.assign(cost=values).to_csv(tmp_path / f"{name}.csv", index=False)
        source = {"path": f"{name}.csv", "target": "cost", "target_kind": "value"}
        made = job(tmp_path, source, "run.rounds=10")
        end = trained(made)
        counts = [site.evaluate(end.weights, {}).test for site in made.local.values()]
        found.append(merge(counts).metrics())
        scored = scoring(made.schema, made.preprocess, made.network, [end.weights], None, 10)
        assert abs(scored.predictions["cost"].iloc[-1] - values.mean()) < values.std()
    euros, millions = found
    assert (euros["r2"] or 0) > 0.8
    assert euros["r2"] == pytest.approx(millions["r2"], abs=1e-4)
    assert euros["rmse"] == pytest.approx((millions["rmse"] or 0) * 1e6, rel=1e-3)
