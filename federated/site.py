"""A hospital as the coordinator sees it: it trains, and no rows come out of it.

`LocalSite` trains here, in this process (simulation, or at the hospital itself); the coordinator of
a deployment has `tasks.engine.sites.RemoteSite`. The flow knows only `Site`.
"""

import copy
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from federated import states
from federated.algorithm import Algorithm
from federated.compression import compress, size
from federated.config import EvaluationConfig
from federated.counts import Counts
from federated.draws import Drawing, draws
from federated.errors import ConfigError
from federated.local import LocalResult, LocalTask
from federated.objectives import Objective
from federated.seeds import generator, seed
from federated.types import HospitalData, Order, RowCounts, Split, Trained, Update, Weights
from federated.weights import buffer_names, floating

_EVALUATION_BATCH = 1024
NUMBER = 8  # bytes of a scalar
CPU = torch.device("cpu")
_LOCAL = threading.local()
_ONE_ROW = "more than 1 value per channel"  # of torch's batch norms


@dataclass(frozen=True)
class Evaluated:
    """Counts over a hospital's rows; validation: None if it keeps none."""

    test: Counts
    validation: Counts | None


class Site(Protocol):
    """One hospital in a federation."""

    @property
    def hospital(self) -> str:
        """Its name."""

    @property
    def own(self) -> frozenset[str]:
        """Tensors of the model that stay with it."""

    @property
    def buffers(self) -> frozenset[str]:
        """Floating tensors of the model that are measured, not trained."""

    @property
    def algorithm(self) -> Algorithm:
        """What it follows."""

    @property
    def rows(self) -> RowCounts:
        """How many it has."""

    def train(self, order: Order, state: Weights) -> Trained:
        """Train as ordered on the hospital's own training rows."""

    def loss(self, weights: Weights, state: Weights) -> float:
        """Mean loss over the hospital's own training rows."""


@dataclass(frozen=True)
class LocalSite:
    """A hospital whose rows are in this process.

    network: the architecture. `weights` are loaded into this thread's own copy before every use.
    seed: the run's seed. objective: loss and counts (`federated.objectives`). device: where its
    rows lie and its network computes; what comes and goes lies on the CPU.
    """

    data: HospitalData
    network: nn.Module
    algorithm: Algorithm
    seed: int
    objective: Objective
    resolution: EvaluationConfig
    device: torch.device = CPU
    hospital: str = field(init=False)
    own: frozenset[str] = field(init=False)
    buffers: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hospital", self.data.hospital)
        object.__setattr__(self, "own", self.algorithm.personal.names(self.network))
        object.__setattr__(self, "buffers", buffer_names(self.network))

    @property
    def rows(self) -> RowCounts:
        """How many it has."""
        data, examples = self.data, self.objective.examples(self.data.train.targets)
        return RowCounts(len(data.train), len(data.validation), len(data.test), examples)

    def train(self, order: Order, state: Weights, steps: int | None = None) -> Trained:
        """One round of local training; `steps` cuts it short.

        One thread: a CNN's bits depend on the number of threads. The generator depends on
        (seed, round, hospital) alone, so neither order nor a restart changes a batch.
        """
        task = self._task(order, state, steps)
        before = self._asked(task)
        personal = on(states.part(state, "personal"), self.device)
        with self._training(order):
            result, personal = self.algorithm.personal.train(self.algorithm.local, task, personal)
        result, personal = _returned(result), on(personal, CPU)
        drawn = generator("compression", self.seed, order.round, self.hospital)
        residual = states.part(state, "residual")
        packed = compress(self.algorithm.compression, result.delta, residual, drawn)
        scalars = {k: v for k, v in (result.scalars | before).items() if k in self.algorithm.needs}
        update = Update(
            hospital=self.hospital,
            round=order.round,
            delta=packed.delta,
            examples=self.rows.examples,
            steps=result.steps,
            loss=result.loss,
            tensors=result.tensors,
            scalars=scalars,
            sent=packed.sent + size(result.tensors) + size(result.buffers) + NUMBER * len(scalars),
            buffers=result.buffers,
        )
        kept = states.join(local=result.state, personal=personal, residual=packed.residual)
        return Trained(update, kept)

    def tune(self, order: Order, state: Weights) -> Weights:
        """One more round for the hospital itself, as the personal rule has it."""
        task = self._task(order, state, None)
        with self._training(order):
            own = on(self.algorithm.personal.tune(self.algorithm.local, task), CPU)
        return state | states.join(personal=own)

    def evaluate(self, weights: Weights, state: Weights) -> Evaluated:
        """Counts of the hospital's model over its test rows, and its validation rows if any."""
        network, test, validation = self.model(weights, state), self.data.test, self.data.validation
        counts = self.count(test, predict(network, test.features))
        if not len(validation):
            return Evaluated(counts, None)
        return Evaluated(counts, self.count(validation, predict(network, validation.features)))

    def count(self, rows: Split, outputs: Tensor) -> Counts:
        """Counts of a model's outputs [n, K] over these rows of the hospital."""
        how = self.resolution
        counts: Counts = self.objective.count(
            outputs, rows.targets, how.score_bins, how.calibration_bins, how.threshold
        )
        return counts

    def model(self, weights: Weights, state: Weights) -> nn.Module:
        """This thread's network, loaded with what the hospital evaluates."""
        network = scratch(self.network, self.device)
        own = states.part(state, "personal")
        network.load_state_dict(self.algorithm.personal.model(weights, own))
        return network

    def loss(self, weights: Weights, state: Weights) -> float:
        """Mean loss of the hospital's model over its training rows."""
        rows = self.data.train
        outputs = predict(self.model(weights, state), rows.features)
        return float(self.objective.loss(outputs.double(), rows.targets))

    def _task(self, order: Order, state: Weights, steps: int | None) -> LocalTask:
        torch.set_num_threads(1)
        rows, rule = self.data.train, self.algorithm.local
        full = rule.step_count(len(rows))
        received = order.weights
        if self.own:  # a whole personal model is no starting point for the shared one
            received = received | states.part(state, "personal")
        return LocalTask(
            network=scratch(self.network, self.device),
            weights=on(received, self.device),
            rows=rows,
            steps=full if steps is None else min(steps, full),
            generator=generator("local", self.seed, order.round, self.hospital),
            objective=self.objective,
            rate=order.rate,
            state=on(states.part(state, "local"), self.device),
            extra=on(order.extra, self.device),
            own=self.own,
        )

    @contextmanager
    def _training(self, order: Order) -> Iterator[None]:
        """Within, a network that draws in `forward` does so by (seed, round, hospital).

        Raises ConfigError where a batch norm is given one row.
        """
        drawing: AbstractContextManager[object] = nullcontext()
        try:
            if draws(self.network, self.data.train.features):
                drawing = Drawing(seed("forward", self.seed, order.round, self.hospital))
            with drawing:
                yield
        except ValueError as error:
            if _ONE_ROW not in str(error):
                raise
            raise ConfigError(
                f"hospital {self.hospital!r}, round {order.round}: a batch norm has no variance of "
                "one row: set algorithm.local.batch_size to 2 or more, or model.norm to one that "
                "needs no batch (layer, group)"
            ) from error

    def _asked(self, task: LocalTask) -> dict[str, float]:
        """What the aggregation wants to know of the model before it is trained."""
        if "loss_before" not in self.algorithm.needs:
            return {}
        task.network.load_state_dict(task.weights)
        outputs = predict(task.network, self.data.train.features)
        value = self.objective.loss(outputs.double(), self.data.train.targets)
        return {"loss_before": float(value)}


def predict(network: nn.Module, features: Tensor) -> Tensor:
    """Outputs [n, K] of the loaded network, with one thread and without gradients."""
    torch.set_num_threads(1)
    network.eval()
    with torch.inference_mode():
        return torch.cat([network(x) for x in torch.split(features, _EVALUATION_BATCH)])


def scratch(network: nn.Module, device: torch.device = CPU) -> nn.Module:
    """This thread's own copy of a network on a device, one for all hospitals that have it.

    Its convolutions keep channels last, which is a third faster on a CPU.
    """
    copies = vars(_LOCAL).setdefault("copies", weakref.WeakKeyDictionary()).setdefault(network, {})
    if device not in copies:
        own = copy.deepcopy(network).to(device)
        copies[device] = own.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    found: nn.Module = copies[device]
    return found


def on(weights: Weights, device: torch.device) -> Weights:
    """The tensors on a device; those that lie there are the same."""
    return {name: t.to(device) for name, t in weights.items()}


def _returned(result: LocalResult) -> LocalResult:
    """What a rule has computed, on the CPU."""
    return replace(
        result,
        delta=on(result.delta, CPU),
        state=on(result.state, CPU),
        tensors=on(result.tensors, CPU),
        buffers=on(result.buffers, CPU),
    )


def shared(weights: Weights, own: frozenset[str]) -> Weights:
    """The tensors that hospitals send: floating, and not their own."""
    return {name: t for name, t in floating(weights).items() if name not in own}
