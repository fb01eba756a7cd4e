"""Hospitals' own states in few files: the states that a round changed lie together.

A file's tensors are called `hospital/tensor`. A state that did not change since the last round is
not written again: its hospital points to the file that has it.
"""

from collections.abc import Callable, Mapping

from federated.types import Weights

_FULL_BYTES = 64 * 2**20


class StateFiles:
    """Remembers which file holds which hospital's state. store: weights → the file's digest."""

    def __init__(self, store: Callable[[Weights], str]) -> None:
        self._store = store
        self._held: dict[str, tuple[Weights, str]] = {}

    def known(self, states: Mapping[str, Weights], files: Mapping[str, str]) -> None:
        """These very states are in these files already."""
        self._held = {h: (own, files[h]) for h, own in states.items() if h in files}

    def store(self, states: Mapping[str, Weights]) -> dict[str, str]:
        """Write what is new; hospital → digest of the file with its state, where it has one."""
        wanted = {h: own for h, own in sorted(states.items()) if own}
        new = {h: own for h, own in wanted.items() if not self._has(h, own)}
        for group in _groups(new):
            together = {f"{h}/{name}": t for h in group for name, t in new[h].items()}
            digest = self._store(together)
            self._held |= {h: (new[h], digest) for h in group}
        return {h: self._held[h][1] for h in wanted}

    def _has(self, hospital: str, own: Weights) -> bool:
        """The very same object: a state is a value, and is never changed in place."""
        return hospital in self._held and self._held[hospital][0] is own


def states_in(files: Mapping[str, str], load: Callable[[str], Weights]) -> dict[str, Weights]:
    """hospital → its state, each file read once. files: hospital → digest."""
    states: dict[str, Weights] = {hospital: {} for hospital in files}
    for digest in sorted(set(files.values())):
        for path, tensor in load(digest).items():
            hospital, _, name = path.partition("/")
            if files.get(hospital) == digest:
                states[hospital][name] = tensor
    return states


def _groups(states: Mapping[str, Weights]) -> list[list[str]]:
    """Hospitals by file, so that no file needs much more memory than `_FULL_BYTES`."""
    groups: list[list[str]] = []
    size = _FULL_BYTES
    for hospital, own in states.items():
        if size >= _FULL_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(hospital)
        size += sum(t.numel() * t.element_size() for t in own.values())
    return groups
