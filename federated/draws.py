"""Random numbers that a network draws in `forward`, as dropout does, from a seed that is handed in.

torch draws them from one generator of the whole process: hospitals that train side by side would
take each other's numbers, and two runs would differ. A dispatch mode belongs to its thread alone
and sees every operation below autograd; those that torch tags as drawing get the hospital's own
generator.
"""

import copy
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from federated.errors import ConfigError
from federated.seeds import seed

_TAGGED = torch.Tag.nondeterministic_seeded
_PROBABILITIES = ("dropout_p", "dropout")  # of operations that draw only where it is above 0
_CHOOSES = torch.ops.aten._fused_sdp_choice.default  # an attention's kernel; tagged, draws nothing
_DROPOUT = torch.ops.aten.native_dropout.default
_KNOWN: "weakref.WeakKeyDictionary[nn.Module, bool]" = weakref.WeakKeyDictionary()


class Drawing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within, what this thread draws without naming a generator comes from `seeded`.

    times: how often it was asked.
    """

    def __init__(self, seeded: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.times = 0
        self._seed = seeded
        self._generators: dict[torch.device, torch.Generator] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What `func` answers, with a generator if it draws. Raises ConfigError if none fits."""
        named = _named(func, args, kwargs or {})
        if not _draws(func, named):
            return func(*args, **(kwargs or {}))
        self.times += 1
        generator = self._generator(named)
        if func is _DROPOUT:
            return _dropout(named, generator)
        return _taking_one(func)(**named | {"generator": generator})

    def _generator(self, named: Mapping[str, Any]) -> torch.Generator:
        """One a device."""
        tensors = (value.device for value in named.values() if isinstance(value, Tensor))
        device = torch.device(named.get("device") or next(tensors, "cpu"))
        if device not in self._generators:
            seeded = seed(self._seed, device.type)
            self._generators[device] = torch.Generator(device).manual_seed(seeded)
        return self._generators[device]


def draws(network: nn.Module, rows: Tensor) -> bool:
    """Does the network draw in training? Two of these rows [n, ...] are tried, once a network.

    Raises ConfigError for one that draws when it is evaluated: it would answer the same patient
    differently each time.
    """
    if network not in _KNOWN:
        own, two = copy.deepcopy(network).cpu(), torch.cat([rows[:2], rows[:2]])[:2].cpu()
        with torch.no_grad(), Drawing(0) as tried:
            own.eval()(two)
            if tried.times:
                raise ConfigError(
                    "the model draws random numbers when it is evaluated (model.eval()): it would "
                    "answer the same patient differently each time; let it draw in training alone"
                )
            own.train()(two)
        _KNOWN[network] = tried.times > 0
    return _KNOWN[network]


def _named(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by their names in the schema."""
    names = [argument.name for argument in func._schema.arguments]
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _draws(func: Any, named: Mapping[str, Any]) -> bool:
    if _TAGGED not in func.tags or func is _CHOOSES or named.get("generator") is not None:
        return False
    names = {argument.name for argument in func._schema.arguments}
    chances = [named.get(name, 0.0) for name in _PROBABILITIES if name in names]
    return not chances or any(chance > 0 for chance in chances)


def _taking_one(func: Any) -> Any:
    """The overload of the same arguments that takes a generator too."""
    wanted = {argument.name for argument in func._schema.arguments} | {"generator"}
    packet = func.overloadpacket
    for name in (func._overloadname, *packet.overloads()):
        found = getattr(packet, name)
        if {argument.name for argument in found._schema.arguments} == wanted:
            return found
    raise ConfigError(
        f"the model draws random numbers by {func}, which takes no generator: two runs would "
        "differ; draw by torch.rand, torch.bernoulli, nn.Dropout or the like"
    )


def _dropout(named: Mapping[str, Any], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """`native_dropout`, CUDA's, which takes no generator: the output, and the mask kept for the
    gradient."""
    rows, p, train = named["input"], named["p"], named.get("train")
    if train is False or p == 0:
        return rows.clone(), torch.ones_like(rows, dtype=torch.bool)
    mask = torch.empty_like(rows, dtype=torch.bool).bernoulli_(1 - p, generator=generator)
    scale = 0.0 if p == 1 else 1 / (1 - p)
    return rows * mask * scale, mask
