import errno
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.exchange.store import ExchangeError, Store


def test_a_payload_is_found_by_its_sha256(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "exchange"), "north")
    name = store.put(b"weights")
    assert name == hashlib.sha256(b"weights").hexdigest()
    assert store.get(name, most=7) == b"weights"
    assert [p.name for p in (tmp_path / "exchange" / "north").iterdir()] == [name]


@given(data=st.binary(max_size=300), most=st.integers(0, 300))
def test_no_more_is_read_than_may_be_there(data: bytes, most: int) -> None:
    store = Store("memory://exchange", "north")
    assert store.get(store.put(data), most) == data[: most + 1]


def test_what_is_dropped_is_gone_and_may_be_dropped_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path), "north")
    name = store.put(b"weights")
    store.drop(name)
    store.drop(name)
    with pytest.raises(ExchangeError, match="cannot be read"):
        store.get(name, most=7)


def test_a_location_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExchangeError, match=r"exchange location .*file.*cannot be written"):
        Store(str(tmp_path / "file"), "north").put(b"weights")
    with pytest.raises(ExchangeError, match="nowhere"):
        Store("nowhere://exchange", "north").put(b"weights")


def test_a_full_location_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = Store(str(tmp_path), "north")
    monkeypatch.setattr(type(store._system), "pipe_file", full)
    with pytest.raises(ExchangeError, match="it is full: make room there"):
        store.put(b"weights")
