import pytest
import torch
from torch import nn

from federated.errors import ConfigError
from federated.initial import weights_of
from federated.local.sgd import Sgd
from federated.types import Split
from federated.weights import floating
from models.resnet import Norm, Resnet
from tests.federated.make import of_classes, task


@pytest.mark.parametrize("side", [8, 9, 28])
@pytest.mark.parametrize("norm", ["group", "batch"])
@pytest.mark.parametrize("blocks", [1, 3, 6])
def test_resnet_takes_any_image_from_8_by_8(side: int, norm: Norm, blocks: int) -> None:
    network = Resnet(width=2, blocks=blocks, norm=norm).build((3, side, side + 1), 4)
    found = network(torch.randn(1, 3, side, side + 1))  # one row: BatchNorm needs more than a value
    assert found.shape == (1, 4)


def test_resnet_is_residual() -> None:
    network = Resnet(width=4, blocks=1).build((1, 8, 8), 1)
    block = network[3]
    for one in block.inner:
        if isinstance(one, nn.GroupNorm):
            nn.init.zeros_(one.weight)
    x = torch.rand(2, 4, 8, 8)
    torch.testing.assert_close(block(x), x)  # f(x) = 0 leaves ReLU(x), and x ≥ 0


def test_resnet_groups_do_not_look_at_other_rows() -> None:
    network = Resnet(width=6).build((1, 12, 12), 2)
    rows = torch.randn(5, 1, 12, 12)
    torch.testing.assert_close(network(rows)[:1], network(rows[:1]))


def test_of_batchnorm_means_and_variances_are_sent_and_counters_are_not() -> None:
    network = Resnet(width=2, blocks=2, norm="batch").build((1, 8, 8), 1)
    weights = weights_of(network)
    rows = Split(torch.randn(6, 1, 8, 8), torch.tensor([0, 1] * 3))
    rule = Sgd(batch_size=3)
    found = rule.train(task(network, weights, rows, 2, seed=0))
    assert found.delta.keys() | found.buffers.keys() == floating(weights).keys()
    assert all(name.endswith(("running_mean", "running_var")) for name in found.buffers)
    assert found.buffers
    assert not any(torch.equal(t, weights[name]) for name, t in found.buffers.items())
    kept = weights.keys() - found.delta.keys() - found.buffers.keys()
    assert all(name.endswith("num_batches_tracked") for name in kept)


def test_resnet_refuses_tables_and_tiny_images() -> None:
    for shape in ((5,), (1, 7, 30)):
        with pytest.raises(ConfigError, match="at least 8×8"):
            Resnet().build(shape, 1)


def test_resnet_learns() -> None:
    torch.manual_seed(0)
    network = Resnet(width=8, blocks=2).build((1, 8, 8), 3)
    objective = of_classes(3)
    x, y = torch.randn(30, 1, 8, 8), torch.arange(30) % 3
    x[y == 1, :, ::2] += 2  # class 1 has stripes, class 2 others
    x[y == 2, :, :, ::2] += 2
    optimiser = torch.optim.SGD(network.parameters(), lr=0.2)
    losses = []
    for _ in range(80):
        optimiser.zero_grad()
        loss = objective.loss(network(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 5
