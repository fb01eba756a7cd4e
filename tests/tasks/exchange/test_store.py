import hashlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.exchange.store import ExchangeError, Store


def test_a_payload_is_found_by_its_sha256(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "exchange"), "north")
    store.prepare()
    name = store.put(b"weights")
    assert name == hashlib.sha256(b"weights").hexdigest()
    assert store.get(name, most=7) == b"weights"
    assert [p.name for p in (tmp_path / "exchange" / "north").iterdir()] == [name]


@given(data=st.binary(max_size=300), most=st.integers(0, 300))
def test_no_more_is_read_than_may_be_there(data: bytes, most: int) -> None:
    store = Store("memory://exchange", "north")
    store.prepare()
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
        Store(str(tmp_path / "file"), "north").prepare()
    with pytest.raises(ExchangeError, match="nowhere"):
        Store("nowhere://exchange", "north").put(b"weights")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "wardround-test", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root alone")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_location_says_so_and_leaves_no_part_there(small: Path) -> None:
    store = Store(str(small), "north", patience=0)
    store.prepare()
    with pytest.raises(ExchangeError, match=r"cannot be written .*; it is full: make room there"):
        store.put(bytes(100_000))
    assert list((small / "north").iterdir()) == []


def test_a_full_location_is_tried_again(small: Path) -> None:
    ballast = small / "ballast"
    ballast.write_bytes(bytes(50_000))
    store = Store(str(small), "north", patience=20)
    store.prepare()
    room = threading.Timer(0.6, ballast.unlink)
    room.start()
    assert store.get(store.put(bytes(30_000)), 30_000) == bytes(30_000)
    room.join()


def test_a_location_that_comes_back_is_used_again_and_never_made_anew(tmp_path: Path) -> None:
    here, away = tmp_path / "exchange", tmp_path / "away"
    store = Store(str(here), "north", patience=20)
    store.prepare()
    name = store.put(b"weights")
    here.rename(away)
    back = threading.Timer(0.6, lambda: away.rename(here))
    back.start()
    assert store.get(name, 7) == b"weights"
    back.join()
    here.rename(away)
    with pytest.raises(ExchangeError, match="is it there"):
        Store(str(here), "north", patience=0).put(b"others")
    assert not here.exists()
