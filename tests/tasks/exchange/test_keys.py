"""Keys: known answers of RFC 8032, files that only their owner reads, texts in one form."""

import base64
import pickle
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.exchange.keys import BadKeyError, PrivateKey, PublicKey, create, load

# RFC 8032, section 7.1, test 3: secret key, public key, message, signature
SECRET = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
PUBLIC = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
MESSAGE = "af82"
SIGNATURE = (
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)


def text_of(raw: bytes) -> str:
    return "ed25519:" + base64.b64encode(raw).decode()


def test_the_known_answer_of_rfc_8032() -> None:
    private = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SECRET)))
    assert private.public == PublicKey(text_of(bytes.fromhex(PUBLIC)))
    assert private.sign(bytes.fromhex(MESSAGE)).hex() == SIGNATURE
    assert private.public.verifies(bytes.fromhex(SIGNATURE), bytes.fromhex(MESSAGE))


def test_another_message_key_or_signature_is_not_verified() -> None:
    public, signature = PublicKey(text_of(bytes.fromhex(PUBLIC))), bytes.fromhex(SIGNATURE)
    other = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(32))).public
    assert not public.verifies(signature, b"\xaf\x83")
    assert not other.verifies(signature, b"\xaf\x82")
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(64), bytes(10_000)):
        assert not public.verifies(wrong, b"\xaf\x82")


def test_a_signature_has_one_form() -> None:
    """RFC 8032, section 5.1.7: S below the group's order L; S + L would be a second signature."""
    order = 2**252 + 27742317777372353535851937790883648493
    public, signature = PublicKey(text_of(bytes.fromhex(PUBLIC))), bytes.fromhex(SIGNATURE)
    second = int.from_bytes(signature[32:], "little") + order
    assert not public.verifies(signature[:32] + second.to_bytes(32, "little"), b"\xaf\x82")


def test_a_key_that_was_created_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "site"
    made = create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path).public == made.public
    assert made.public.verifies(load(path).sign(b"yes"), b"yes")
    assert create(tmp_path / "other").public != made.public


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    made = create(tmp_path / "site")
    with pytest.raises(BadKeyError, match=r"site exists: a key is never overwritten"):
        create(tmp_path / "site")
    assert load(tmp_path / "site").public == made.public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o700, 0o660])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    create(tmp_path / "site")
    (tmp_path / "site").chmod(mode)
    with pytest.raises(BadKeyError, match=f"{mode:o}.*chmod 600"):
        load(tmp_path / "site")


@pytest.mark.parametrize("content", [b"", b"no key\n", b"AAAA\n", b"\xff" * 44, b"A" * 4096])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "site"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(BadKeyError, match="no private key"):
        load(path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadKeyError, match=r"absent: the private key cannot be read"):
        load(tmp_path / "absent")


RAW = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ed25519:",
        RAW,  # without the prefix
        f"ed25519:{RAW} ",
        f"ed25519:{RAW}\n",
        f"ed25519:ed25519:{RAW}",
        f"rsa:{RAW}",
        text_of(bytes(31)),
        text_of(bytes(33)),
        f"ed25519:{RAW[:-2]}B=",  # bits beyond the last byte: a second text of one key
        "ed25519:ä",
    ],
)
def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadKeyError, match="is no key"):
        PublicKey(text)


def test_a_private_key_is_neither_printed_nor_pickled() -> None:
    private = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    raw = bytes(range(32))
    for shown in (repr(private), str(private), str(vars(private))):
        assert base64.b64encode(raw).decode() not in shown
        assert raw.hex() not in shown
    with pytest.raises(TypeError):
        pickle.dumps(private)
