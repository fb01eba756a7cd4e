"""Many hospitals' local SGD as one computation: a linear model or a perceptron a hospital.

Tensors have the hospitals as their first axis, H. Every hospital's order of batches is its own, the
same as when it trains alone; smaller batches and fewer steps are masked. The bits differ from those
of training one after another, because a batched product adds up in another order; the weights stay
within 1e-5 of each other over 50 rounds (`tests/federated/test_batched.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from federated.checks import check_update
from federated.coded import Coded
from federated.inputs import WIDE
from federated.local._descent import steps_of
from federated.local.sgd import Sgd
from federated.objectives.classification import Classification
from federated.seeds import generator
from federated.shares import Share, Sums
from federated.site import NUMBER, LocalSite, on, shared
from federated.types import Order, Update, Weights
from federated.weights import ExactSum, stacked_sum

_CHAIN = (nn.Flatten, nn.Linear, nn.ReLU)


MANY = 16
"""Hospitals, above which `auto` trains small models as one computation."""


def batches_wanted(engine: str, sites: Sequence[LocalSite]) -> bool:
    """Does `engine.name` train these hospitals as one computation? The machine has no say in it."""
    return engine == "batched" or (engine == "auto" and len(sites) > MANY and not unfit(sites[0]))


def unfit(site: LocalSite) -> str | None:
    """Why a hospital like this cannot be trained in a batch of hospitals; None if it can."""
    rules = site.algorithm
    layers = [*site.network.children()]
    plain = {"compression": "identity", "personal": "shared"}
    if any(isinstance(layer, Coded) for layer in layers):
        return f"categories that would be more than {WIDE} inputs are codes, which it does not take"
    if not all(isinstance(layer, _CHAIN) for layer in layers) or not layers:
        return "it trains models of linear layers and ReLUs alone (logistic, mlp without norm)"
    if type(rules.local) is not Sgd or rules.local.clip or rules.local.class_weights:
        return "it trains by algorithm.local.name sgd without clip and class_weights"
    if rules.local.momentum or rules.local.weight_decay:
        return "it trains by SGD without momentum and weight_decay"
    for kind, name in plain.items():
        if rules.names[kind] != name:
            return f"it works with algorithm.{kind}.name {name} alone"
    if rules.needs - {"normaliser"}:
        return f"it does not know what the aggregation asks for: {', '.join(rules.needs)}"
    if not isinstance(site.objective, Classification):
        return "it trains classifiers alone"
    return None


@dataclass(frozen=True)
class Layer:
    """W [H, out, in] and b [H, out] of every hospital; name: of the module; relu: follows it."""

    name: str
    weight: Tensor
    bias: Tensor
    relu: bool


class Plan(NamedTuple):
    """Of S steps: rows [S, H, B], where each batch's rows lie; share [S, H, B], 1/|batch|, 0 for
    what fills up a smaller batch; steps: of each hospital."""

    rows: Tensor
    share: Tensor
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Cohort:
    """Hospitals that train together, and all their training rows: features [R, D], targets [R]."""

    sites: tuple[LocalSite, ...]
    features: Tensor
    targets: Tensor

    def train(self, order: Order) -> Share:
        """One round of every hospital. Raises as `federated.shares.train_share`."""
        torch.set_num_threads(1)
        rules = self.sites[0].algorithm
        plan, device = self.plan(order.round), self.features.device
        layers = spread(self.sites[0].network, on(order.weights, device), len(self.sites))
        there = Plan(plan.rows.to(device), plan.share.to(device), plan.steps)
        loss = descend(layers, self.features, self.targets, there, rules.local.lr * order.rate)
        deltas = {
            f"{layer.name}.{part}": moved.cpu() - order.weights[f"{layer.name}.{part}"]
            for layer in layers
            for part, moved in (("weight", layer.weight), ("bias", layer.bias))
        }
        loss = loss.cpu()
        updates = self._updates(order, plan, deltas, loss.tolist())
        if not all(bool(torch.isfinite(t).all()) for t in (loss, *deltas.values())):
            expected = shared(order.weights, frozenset())
            updates = [check_update(u, expected, frozenset()) for u in updates]
        receipts = tuple(update.receipt for update in updates)
        if not rules.sums:
            return Share(receipts, None, tuple(updates))
        coefficients = [rules.aggregation.coefficient(receipt) for receipt in receipts]
        nothing = ExactSum({}, len(updates))
        return Share(receipts, Sums(stacked_sum(deltas, coefficients), nothing, nothing))

    def plan(self, number: int) -> Plan:
        """The batches of a round: those that each hospital would draw alone."""
        rule: Sgd = self.sites[0].algorithm.local
        sizes = [len(site.data.train) for site in self.sites]
        steps = [rule.step_count(size) for size in sizes]
        widths = [min(rule.batch_size or size, size) for size in sizes]
        rows = torch.zeros((max(steps), len(sizes), max(widths) + 1), dtype=torch.int64)
        share = torch.zeros(rows.shape)
        start = 0
        for h, site in enumerate(self.sites):
            drawn = generator("local", site.seed, number, site.hospital)
            places, weights = rows[: steps[h], h], share[: steps[h], h]
            fill(places, weights, sizes[h], widths[h], drawn)
            places += start
            start += sizes[h]
        return Plan(rows, share, tuple(steps))

    def _updates(
        self, order: Order, plan: Plan, deltas: Weights, losses: Sequence[float]
    ) -> list[Update]:
        """Each hospital's, views of `deltas` [H, …]."""
        sent = sum(t[0].numel() * t.element_size() for t in deltas.values())
        needs = self.sites[0].algorithm.needs
        return [
            Update(
                hospital=site.hospital,
                round=order.round,
                delta={name: t[h] for name, t in deltas.items()},
                examples=len(site.data.train),
                steps=plan.steps[h],
                loss=losses[h] / plan.steps[h],
                scalars={"normaliser": float(plan.steps[h])} if needs else {},
                sent=sent + NUMBER * len(needs),
            )
            for h, site in enumerate(self.sites)
        ]


def fill(places: Tensor, share: Tensor, rows: int, width: int, generator: torch.Generator) -> None:
    """The batches of `federated.local._descent.batches` as rows of `places` [S, B], with 1/|batch|
    in `share`; epoch by epoch. width: of all batches but an epoch's last."""
    last = steps_of(rows, 1, None, width) - 1
    step = 0
    while step < len(places):
        drawn = torch.randperm(rows, generator=generator)
        full = min(last, len(places) - step)
        places[step : step + full, :width] = drawn[: full * width].reshape(full, width)
        share[step : step + full, :width] = 1 / width
        step, rest = step + full, drawn[full * width :]
        if step < len(places):
            places[step, : len(rest)] = rest
            share[step, : len(rest)] = 1 / len(rest)
            step += 1


def cohort(sites: Sequence[LocalSite]) -> Cohort:
    """Copy the training rows of these hospitals together."""
    rows = [site.data.train for site in sites]
    features = torch.cat([split.features.flatten(1) for split in rows])
    return Cohort(tuple(sites), features, torch.cat([split.targets for split in rows]))


def spread(network: nn.Module, weights: Weights, hospitals: int) -> list[Layer]:
    """The linear layers of a network that fits, with a copy of the weights for every hospital."""
    modules = list(network.named_children())
    follows = [*(type(module) for _, module in modules[1:]), None]
    return [
        Layer(
            name,
            weights[f"{name}.weight"].repeat(hospitals, 1, 1),
            weights[f"{name}.bias"].repeat(hospitals, 1),
            after is nn.ReLU,
        )
        for (name, module), after in zip(modules, follows, strict=True)
        if isinstance(module, nn.Linear)
    ]


def descend(
    layers: Sequence[Layer], features: Tensor, targets: Tensor, plan: Plan, lr: float
) -> Tensor:
    """SGD in place, layers' gradients by hand; the sum over steps of each hospital's loss, [H]."""
    outputs = layers[-1].bias.shape[1]
    truth = targets.float()[:, None] if outputs == 1 else F.one_hot(targets, outputs).float()
    logits = []
    for rows, share in zip(plan.rows, plan.share, strict=True):
        inputs = [features[rows]]
        for layer in layers:
            z = torch.baddbmm(layer.bias[:, None], inputs[-1], layer.weight.transpose(1, 2))
            inputs.append(z.relu_() if layer.relu else z)
        z = inputs.pop()
        logits.append(z)
        chance = torch.sigmoid(z) if outputs == 1 else torch.softmax(z, dim=2)
        gradient = chance.sub_(truth[rows]).mul_(share[..., None])
        for layer, x in zip(reversed(layers), reversed(inputs), strict=True):
            before = None if layer is layers[0] else torch.bmm(gradient, layer.weight) * (x > 0)
            layer.weight.baddbmm_(gradient.transpose(1, 2), x, alpha=-lr)
            layer.bias.sub_(gradient.sum(dim=1), alpha=lr)
            if before is not None:
                gradient = before
    return _losses(torch.stack(logits), truth[plan.rows], plan.share).sum(dim=0)


def _losses(logits: Tensor, truth: Tensor, share: Tensor) -> Tensor:
    """Mean loss of every batch, float64 [S, H]: nats per row."""
    wide, truth = logits.double(), truth.double()
    if logits.shape[-1] == 1:
        each = F.binary_cross_entropy_with_logits(wide, truth, reduction="none").squeeze(-1)
    else:
        each = -(truth * torch.log_softmax(wide, dim=-1)).sum(dim=-1)
    return (each * share).sum(dim=-1)
