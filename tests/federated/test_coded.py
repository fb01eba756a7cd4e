"""Rows that keep codes against the same rows as one-hot inputs."""

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from federated.encoding import Encoding
from federated.errors import ConfigError
from federated.initial import build
from federated.inputs import WIDE
from federated.preprocessing import Preprocess, to_data
from models.logistic import Logistic
from models.mlp import Mlp
from models.resnet import Resnet
from tests.federated.hospitals import made_up
from tests.federated.test_encoding import settings_of

HOSPITALS = made_up([4000, 3000], 150, 0.05, 5, skew=0.0)


def rows(monkeypatch: pytest.MonkeyPatch, wide: int) -> tuple[Encoding, Tensor]:
    """The encoding and the first hospital's training rows where more than `wide` are codes."""
    monkeypatch.setattr("federated.inputs.WIDE", wide)
    module, (first, _) = to_data(HOSPITALS, settings_of("federated"))
    assert (module.encoding.codes > 0) == (wide == WIDE)
    return module.encoding, first.train.features


@pytest.mark.parametrize("model", [Logistic(), Mlp(hidden=(8,)), Mlp(hidden=(8, 4), norm="layer")])
def test_outputs_and_gradients_are_those_of_one_hot_rows(
    monkeypatch: pytest.MonkeyPatch, model: Any
) -> None:
    found = []
    for wide, width in ((10**6, 306), (WIDE, 8)):  # 8: three columns, their indicators, two codes
        encoding, features = rows(monkeypatch, wide)
        assert (encoding.shape, features.shape[1]) == ((306,), width)
        network = build(model, encoding.shape, 1, 3, encoding.codes)
        outputs = network(features[:200])
        outputs.square().mean().backward()
        gradients = {name: p.grad for name, p in network.named_parameters()}
        found.append((outputs, gradients, network.state_dict()))
    (dense, slopes, weights), (sparse, others, same) = found
    assert torch.allclose(dense, sparse, atol=1e-6)
    assert weights.keys() == same.keys()
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    for name, slope in slopes.items():
        other = others[name]
        assert slope is not None
        assert other is not None
        assert torch.allclose(slope, other, atol=1e-6)


def test_the_exported_program_keeps_codes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    encoding, features = rows(monkeypatch, WIDE)
    network = build(Mlp(hidden=(8,)), encoding.shape, 1, 3, encoding.codes)
    raw = HOSPITALS[0].training_features[:50]
    program = nn.Sequential(Preprocess(encoding), network).eval()
    shapes = {"input": {0: torch.export.Dim("rows")}}
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(program, (raw[:3],), dynamic_shapes=shapes), buffer)
    buffer.seek(0)
    found = torch.export.load(buffer).module()(raw)
    assert torch.equal(found, network(features[:50]))


def test_a_model_of_another_kind_is_refused() -> None:
    class Other:
        def build(self, inputs: tuple[int, ...], outputs: int) -> nn.Module:
            return nn.Sequential(nn.LayerNorm(inputs[0]), nn.Linear(inputs[0], outputs))

    with pytest.raises(ConfigError, match=r"lower data\.source\.max_categories"):
        build(Other(), (300,), 1, 1, codes=2)
    with pytest.raises(ConfigError, match="resnet"):
        build(Resnet(), (300,), 1, 1, codes=2)
