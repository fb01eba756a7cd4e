"""Properties of a model's inputs over random hospitals, and a fit that scikit-learn checks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from federated.algorithm import compose
from federated.config import DataConfig, EvaluationConfig
from federated.encoding import agreed, fit_encoding, merged, squared, summary
from federated.errors import DataError
from federated.federation import simulate
from federated.initial import build, weights_of
from federated.objectives.classification import Classification
from federated.preprocessing import Preprocess, to_data
from federated.records import RawHospital
from federated.site import LocalSite
from federated.statistics import finish, means
from models.logistic import Logistic
from tests.federated.hospitals import made_up
from tests.federated.test_preprocessing import data

SCALINGS = ("hospital", "federated", "off")


def settings_of(scaling: str) -> DataConfig:
    return data(scaling).model_copy(update={"missing_indicators": True})


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 40), min_size=1, max_size=4),
    wards=st.integers(1, 12),
    missing=st.sampled_from([0.0, 0.05, 0.5, 0.95]),
    scaling=st.sampled_from(SCALINGS),
    seed=st.integers(0, 999),
)
def test_every_input_varies_among_the_training_rows(
    sizes: list[int], wards: int, missing: float, scaling: str, seed: int
) -> None:
    hospitals = made_up(sizes, wards, missing, seed)
    try:
        module, encoded = to_data(hospitals, settings_of(scaling))
    except DataError:
        assume(False)
    pooled = torch.cat([one.train.features for one in encoded])
    assert pooled.shape[1] == len(module.encoding.names)
    assert bool((pooled.min(dim=0).values < pooled.max(dim=0).values).all())
    assert bool(torch.isfinite(torch.cat([one.test.features for one in encoded])).all())


@settings(max_examples=30, deadline=None)
@given(wards=st.integers(2, 8), missing=st.sampled_from([0.0, 0.2]), seed=st.integers(0, 99))
def test_one_categorical_column_and_a_constant_are_independent(
    wards: int, missing: float, seed: int
) -> None:
    """All its one-hot inputs would add up to the constant: no weight would be determined."""
    module, encoded = to_data(made_up([90, 60], wards, missing, seed), settings_of("federated"))
    places = [i for i, name in enumerate(module.encoding.names) if name.startswith("ward")]
    inputs = torch.cat([one.train.features for one in encoded])[:, places].numpy()
    design = np.column_stack([np.ones(len(inputs)), inputs])
    assert np.linalg.matrix_rank(design) == len(places) + 1


def test_hospitals_work_out_the_same_by_themselves() -> None:
    """As in a deployment: summaries and squares go to and fro, all else each side does alone."""
    hospitals = made_up([60, 30, 50], 6, 0.1, 3)
    for scaling in ("federated", "off"):
        whole = merged([summary(raw, scaling) for raw in hospitals[::-1]])
        mean = means(whole.sums)
        sent = [squared(raw, scaling, mean) for raw in hospitals]
        figures = finish(whole.sums, sent)
        alone = agreed(hospitals[1].schema, scaling, True, whole.tally, figures)
        assert alone == fit_encoding(hospitals, scaling, True)


def test_nothing_is_said_of_features_that_others_do_not_scale() -> None:
    (raw,) = made_up([60], 6, 0.1, 3)
    assert summary(raw, "off").sums.count == (0,) * 5
    assert squared(raw, "off", (0.0,) * 5) == (0.0,) * 5


def test_categories_of_test_rows_alone_have_no_input() -> None:
    (raw,) = made_up([200], 4, 0.0, 1)
    unseen = raw.features.clone()
    unseen[raw.train, 3] = unseen[raw.train, 3].clamp(max=2)
    unseen[raw.test, 3] = 3
    module, _ = to_data([replace(raw, features=unseen)], settings_of("federated"))
    assert not [name for name in module.encoding.names if name in ("ward=3", "ward=other")]
    assert "read as the commonest, '0'" in " ".join(module.encoding.notes)
    rows = torch.tensor([[0, 0, 0, 3, 0], [0, 0, 0, 0, 0]], dtype=torch.float64)
    first, second = Preprocess(module.encoding)(rows)
    assert torch.equal(first, second)


def sites(hospitals: list[RawHospital], rules: str) -> tuple[dict[str, LocalSite], torch.Tensor]:
    """Logistic regression by full gradients, and the pooled training inputs."""
    module, encoded = to_data(hospitals, settings_of("federated"))
    algorithm = compose(rules, {"local": {"lr": 1.0, "batch_size": None}})
    network = build(Logistic(), module.encoding.shape, 1, 1)
    asked, resolution = (
        Classification(("no", "yes")),
        EvaluationConfig(score_bins=100, calibration_bins=10),
    )
    found = {
        one.hospital: LocalSite(one, network, algorithm, 1, asked, resolution) for one in encoded
    }
    return found, torch.cat([one.train.features for one in encoded])


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_the_federation_finds_the_maximum_likelihood(missing: float) -> None:
    """It is one point, since no weight can be traded for another's."""
    here, inputs = sites(made_up([150, 250], 4, missing, 7), "fedsgd")
    first = next(iter(here.values()))
    found = simulate(first.algorithm, here, weights_of(first.network), 700, 1).weights
    targets = torch.cat([site.data.train.targets for site in here.values()])
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(inputs, targets)
    assert found["1.weight"].numpy() == pytest.approx(oracle.coef_, abs=2e-3)
    assert found["1.bias"].numpy() == pytest.approx(oracle.intercept_, abs=2e-3)
