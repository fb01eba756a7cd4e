"""All hospitals' test and validation rows, evaluated together where they have the same model.

One hospital's rows are few, and a network's fixed cost a call is not. So hospitals without tensors
of their own go through it together, in groups that depend on their sizes alone: whoever evaluates
a group, in whatever process, gets the same bits.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from federated import states
from federated.errors import WardroundError
from federated.site import Evaluated, LocalSite, predict
from federated.types import Split, Weights

GROUP = 1024
"""Rows, of a group of more than one hospital, at most."""


def groups(sites: Sequence[LocalSite]) -> list[list[LocalSite]]:
    """Hospitals that are evaluated together, in order."""
    found: list[list[LocalSite]] = []
    rows = 0
    for site in sites:
        own = len(site.data.test) + len(site.data.validation)
        if not found or rows + own > GROUP:
            found.append([])
            rows = 0
        found[-1].append(site)
        rows += own
    return found


def evaluate_group(
    group: Sequence[LocalSite], number: int, weights: Weights, kept: Mapping[str, Weights]
) -> dict[str, Evaluated]:
    """Counts of each hospital's model after round `number`. kept: hospital → its own state.

    Raises WardroundError, naming hospital and round, for outputs that are not finite.
    """
    apart = any(states.part(kept.get(site.hospital, {}), "personal") for site in group)
    if apart and len(group) > 1:
        each = [evaluate_group([site], number, weights, kept) for site in group]
        return {hospital: one for found in each for hospital, one in found.items()}
    network = group[0].model(weights, kept.get(group[0].hospital, {}))
    tests = _outputs(network, [site.data.test for site in group])
    validations = _outputs(network, [site.data.validation for site in group])
    return {
        site.hospital: _counted(site, number, test, validation)
        for site, test, validation in zip(group, tests, validations, strict=True)
    }


def _outputs(network: nn.Module, rows: Sequence[Split]) -> tuple[Tensor, ...]:
    """[n, K] of each hospital's rows."""
    together = predict(network, torch.cat([split.features for split in rows]))
    return torch.split(together, [len(split) for split in rows])


def _counted(site: LocalSite, number: int, test: Tensor, validation: Tensor) -> Evaluated:
    try:
        chosen = site.count(site.data.validation, validation) if len(validation) else None
        return Evaluated(site.count(site.data.test, test), chosen)
    except ValueError as error:
        raise WardroundError(
            f"hospital {site.hospital!r}, round {number}, evaluation: {error}; training "
            "diverges: lower algorithm.local.lr"
        ) from error
