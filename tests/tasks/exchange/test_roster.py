"""roster.yaml: who is admitted, and what a faulty file or entry is answered with."""

from datetime import date
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from federated.errors import ConfigError
from tasks.exchange.keys import PrivateKey, PublicKey
from tasks.exchange.roster import Member, Roster, add, read_roster, taking_part, write_roster

DAY = date(2026, 11, 25)
# RFC 8032, section 7.1, tests 1 and 2: public keys d75a9801… and 3d4017c3…
FIRST = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
SECOND = "ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
EMPTY = Roster(hospitals={})


def member(key: str = FIRST, most: int = 200, added: date = DAY) -> Member:
    return Member(key=PublicKey(key), max_examples=most, added=added)


def text_of(**changes: object) -> str:
    """A roster of cleveland alone, with changed fields; None leaves a field out."""
    fields = {"key": FIRST, "max_examples": 200, "added": DAY, **changes}
    given = {name: value for name, value in fields.items() if value is not None}
    return yaml.safe_dump({"hospitals": {"cleveland": given}})


def refused(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        read_roster(path)
    assert str(refusal.value).startswith(f"{path}:")
    return str(refusal.value)


def test_a_roster_reads_back_in_the_order_of_entry(tmp_path: Path) -> None:
    path = tmp_path / "roster.yaml"
    roster = add(add(EMPTY, "va", member(FIRST)), "cleveland", member(SECOND, 7))
    write_roster(path, roster)
    again = read_roster(path)
    assert again == roster
    assert list(again.hospitals) == ["va", "cleveland"]
    assert again.hospitals["cleveland"] == member(SECOND, 7)
    assert [p.name for p in tmp_path.iterdir()] == ["roster.yaml"]


def test_the_file_is_plain_to_read(tmp_path: Path) -> None:
    path = tmp_path / "roster.yaml"
    write_roster(path, add(EMPTY, "va", member()))
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert lines == [
        "hospitals:",
        "  va:",
        f"    key: {FIRST}",
        "    max_examples: 200",
        "    added: 2026-11-25",
    ]


def test_a_name_that_yaml_takes_for_a_value_stays_a_name(tmp_path: Path) -> None:
    path = tmp_path / "roster.yaml"
    for number, name in enumerate(["no", "12", "2026-11-25", "null"]):
        key = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)).public
        before = read_roster(path) if number else EMPTY
        write_roster(path, add(before, name, member(key.text)))
    assert list(read_roster(path).hospitals) == ["no", "12", "2026-11-25", "null"]


def test_a_known_name_is_refused_unless_it_is_replaced_where_it_stands() -> None:
    roster = add(add(EMPTY, "va", member(FIRST)), "hungary", member(SECOND))
    other = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(32))).public.text
    with pytest.raises(ConfigError, match=r"'va' is in the roster since 2026-11-25.*--replace"):
        add(roster, "va", member(other))
    replaced = add(roster, "va", member(other, 9), replace=True)
    assert list(replaced.hospitals) == ["va", "hungary"]
    assert replaced.hospitals["va"] == member(other, 9)
    assert roster.hospitals["va"] == member(FIRST)  # the first one is as it was
    assert add(roster, "va", member(FIRST, 9), replace=True).hospitals["va"].max_examples == 9


@pytest.mark.parametrize("replace", [False, True])
def test_a_key_of_another_hospital_is_always_refused(replace: bool) -> None:
    roster = add(add(EMPTY, "va", member(FIRST)), "hungary", member(SECOND))
    for name in ("cleveland", "hungary"):
        with pytest.raises(ConfigError, match=r"'va'|since"):
            add(roster, name, member(FIRST), replace=replace)
    with pytest.raises(ConfigError, match=r"'cleveland': its key is that of 'va' already"):
        add(roster, "cleveland", member(FIRST), replace=replace)


@pytest.mark.parametrize(
    "name", ["", "Va", "../va", "va/x", ".va", "-va", "va hospital", "vä", "v" * 65, "va\n"]
)
def test_a_name_that_cannot_name_a_pool_or_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a hospital"):
        add(EMPTY, name, member())
    whole = yaml.safe_load(text_of())
    text = yaml.safe_dump({"hospitals": {name: whole["hospitals"]["cleveland"]}})
    assert "cannot name a hospital" in refused(tmp_path / "roster.yaml", text)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"key": "ed25519:AAAA"}, "hospitals.cleveland.key: Value error, 'ed25519:AAAA' is no key"),
        ({"key": 7}, "hospitals.cleveland.key: "),
        ({"key": None}, "hospitals.cleveland.key: missing"),
        ({"max_examples": 0}, "hospitals.cleveland.max_examples: "),
        ({"max_examples": True}, "hospitals.cleveland.max_examples: "),
        ({"max_examples": 2.0}, "hospitals.cleveland.max_examples: "),
        ({"max_examples": 2**53}, "hospitals.cleveland.max_examples: "),
        ({"added": "today"}, "hospitals.cleveland.added: "),
        ({"kye": FIRST}, "unknown key hospitals.cleveland.kye; did you mean 'key'?"),
    ],
)
def test_a_faulty_field_is_named_with_its_hospital(
    tmp_path: Path, change: dict[str, object], expected: str
) -> None:
    assert expected in refused(tmp_path / "roster.yaml", text_of(**change))


def test_a_file_that_is_no_roster_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "roster.yaml"
    with pytest.raises(ConfigError, match=r"no such file; enter a hospital with `wardround"):
        read_roster(path)
    assert "expected hospitals:" in refused(path, "- va")
    assert "hospitals: missing" in refused(path, "{}")
    assert "unknown key hospital; did you mean 'hospitals'?" in refused(
        path, "hospital: {}\nhospitals: {}"
    )


def test_a_hospital_or_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roster.yaml"
    entry = f"{{key: {FIRST}, max_examples: 1, added: 2026-11-25}}"
    text = f"hospitals:\n  va: {entry}\n  va: {entry}\n"
    assert "the key 'va' stands twice" in refused(path, text)
    text = f"hospitals:\n  va: {entry}\n  hungary: {entry}\n"
    assert "hospitals 'va' and 'hungary' have the same key" in refused(path, text)


@given(
    names=st.lists(
        st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True), unique=True, max_size=6
    ),
    counts=st.lists(st.integers(1, 2**53 - 1), min_size=6, max_size=6),
    days=st.lists(st.dates(), min_size=6, max_size=6),
)
def test_every_roster_reads_back(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], counts: list[int], days: list[date]
) -> None:
    roster = EMPTY
    for number, name in enumerate(names):
        key = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)).public
        roster = add(roster, name, member(key.text, counts[number], days[number]))
    path = tmp_path_factory.mktemp("roster") / "roster.yaml"
    write_roster(path, roster)
    assert read_roster(path) == roster


def test_a_job_may_leave_a_hospital_out() -> None:
    roster = add(add(EMPTY, "va", member(FIRST)), "cleveland", member(SECOND))
    assert taking_part(roster, ()) == roster
    assert [*taking_part(roster, ("va",)).hospitals] == ["cleveland"]
    with pytest.raises(ConfigError, match=r"data\.leave_out: the roster has no hospital 'av'"):
        taking_part(roster, ("av",))
    with pytest.raises(ConfigError, match="every hospital of the roster"):
        taking_part(roster, ("va", "cleveland"))
