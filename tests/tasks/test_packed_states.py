"""Hospitals' own states in few files, and none written twice."""

import pytest
import torch

from federated.types import Weights
from tasks import packed_states
from tasks.packed_states import StateFiles, states_in


class Files:
    """A store that remembers what was written."""

    def __init__(self) -> None:
        self.written: list[Weights] = []

    def store(self, weights: Weights) -> str:
        self.written.append(weights)
        return str(len(self.written) - 1)

    def load(self, name: str) -> Weights:
        return self.written[int(name)]


def state(value: float) -> Weights:
    return {"local/w": torch.tensor([value]), "local/b": torch.tensor(value)}


def test_a_rounds_new_states_are_one_file_and_others_stay_where_they_are() -> None:
    files = Files()
    writer = StateFiles(files.store)
    first = {"a": state(1), "b": state(2), "stateless": {}}
    assert writer.store(first) == {"a": "0", "b": "0"}
    second = {**first, "b": state(3)}
    found = writer.store(second)
    assert found == {"a": "0", "b": "1"}
    assert set(files.written[1]) == {"b/local/w", "b/local/b"}
    read = states_in(found, files.load)
    assert {h: own["local/w"].item() for h, own in read.items()} == {"a": 1, "b": 3}
    assert set(read["a"]) == {"local/w", "local/b"}


def test_states_that_were_read_back_are_not_written_again() -> None:
    files = Files()
    found = StateFiles(files.store).store({"a": state(1), "b": state(2)})
    again = StateFiles(files.store)
    read = states_in(found, files.load)
    again.known(read, found)
    assert again.store({**read, "b": state(4)}) == {"a": "0", "b": "1"}


def test_large_states_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight bytes a state; a file is full at 16."""
    monkeypatch.setattr(packed_states, "_FULL_BYTES", 16)
    files = Files()
    found = StateFiles(files.store).store({h: state(float(i)) for i, h in enumerate("abcde")})
    assert found == {"a": "0", "b": "0", "c": "1", "d": "1", "e": "2"}
    assert states_in(found, files.load)["e"]["local/w"].item() == 4
