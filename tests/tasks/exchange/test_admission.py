"""What is admitted is what was sent, to the bit; what fails is refused by the check's name."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from federated.types import Update, Weights
from federated.weights import digest, to_bytes
from tasks.exchange.admission import (
    Accepted,
    Admitted,
    Awaited,
    Expected,
    Refused,
    accept_order,
    admit,
)
from tasks.exchange.messages import (
    Message,
    Orders,
    of_order,
    of_update,
    order_template,
    update_template,
)
from tasks.exchange.refusal import Check
from tests.tasks.exchange.traffic import (
    AWAITED,
    BASE,
    COORDINATOR,
    EXPECTED,
    EXTRA,
    NONCE,
    NORTH,
    ORDER,
    OTHER_NONCE,
    RUN,
    SOUTH,
    UPDATE,
    WEIGHTS,
    changed,
    fields_of,
    ordered,
    sent,
    with_payload,
    with_values,
)

NAN, INF = float("nan"), float("inf")


def refused(message: Message, expected: Expected = EXPECTED) -> tuple[Check, str]:
    found = admit(message.sealed, message.payload, expected)
    assert isinstance(found, Refused)
    assert (found.hospital, found.round) == ("north", 3)
    return found.check, found.reason


def delta(w: list[list[float]], b: float = 0.0) -> Update:
    return replace(UPDATE, delta={"w": torch.tensor(w), "b": torch.tensor([b])})


def test_an_honest_update_is_admitted_as_it_was_sent() -> None:
    message = sent()
    found = admit(message.sealed, message.payload, EXPECTED)
    assert isinstance(found, Admitted)
    assert fields_of(found.update) == fields_of(UPDATE)
    assert found.nonce == NONCE


@given(
    numbers=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1),
    loss=st.floats(allow_nan=False, allow_infinity=False),
    scalars=st.dictionaries(
        st.from_regex(r"[a-z_]{1,9}", fullmatch=True),
        st.floats(allow_nan=False, allow_infinity=False),
        max_size=3,
    ),
    half=st.booleans(),
)
def test_any_finite_update_is_admitted_to_the_bit(
    numbers: list[float], loss: float, scalars: dict[str, float], half: bool
) -> None:
    tensors: Weights = {"c": torch.tensor(numbers, dtype=torch.float64)} if half else {}
    update = replace(
        UPDATE, delta={"w": torch.tensor(numbers)}, tensors=tensors, loss=loss, scalars=scalars
    )
    expected = replace(
        EXPECTED,
        template=update_template(update.delta, tensors, {}),
        scalars=frozenset(scalars),
        norm_bound=None,
    )
    message = sent(update)
    found = admit(message.sealed, message.payload, expected)
    assert isinstance(found, Admitted)
    assert to_bytes(found.update.delta) == to_bytes(update.delta)
    assert to_bytes(found.update.tensors) == to_bytes(tensors)
    assert fields_of(found.update) == fields_of(update)


BAD: list[tuple[Check, Message, str]] = [
    ("size", Message(bytes(20_000), sent().payload), "envelope of 20000 bytes"),
    ("size", Message(sent().sealed, bytes(5000)), "payload of 5000 bytes"),
    ("signature", sent(private=SOUTH), "not signed with the key of ed25519:"),
    ("signature", sent(private=COORDINATOR), "not signed with the key of ed25519:"),
    ("form", with_values(schema=2), "schema version 2 is not known here"),
    ("kind", changed(kind="order"), "kind is 'order', 'update' is waited for"),
    ("hospital", changed(hospital="south"), "hospital is 'south', 'north' is waited for"),
    ("run", changed(run="run-6"), "run is 'run-6', 'run-7' is waited for"),
    ("round", changed(round=2), "round is 2, 3 is waited for"),
    ("round", changed(round=4), "round is 4, 3 is waited for"),
    ("base", changed(base="0" * 64), "base is '0000"),
    ("payload", changed(payload="0" * 64), "payload is '0000"),
    ("nonce", changed(nonce=OTHER_NONCE), f"{OTHER_NONCE} was used before"),
    ("tensors", sent(replace(UPDATE, delta={"w": torch.ones(2, 2)})), "'delta/b' is missing"),
    ("tensors", sent(replace(UPDATE, tensors={})), "tensor 'tensors/b' is missing (2 in all)"),
    ("tensors", sent(delta([[1.0, 2.0]])), "tensor 'delta/w' has not the shape [2, 2]"),
    ("tensors", sent(replace(UPDATE, scalars={})), "number 'scalar_normaliser' is missing"),
    ("tensors", changed(numbers={"scalar_normaliser": 1.0}), "number 'loss' is missing"),
    ("tensors", changed(numbers={"loss": 1.0, "scalar_normaliser": 1.0, "more": 0.0}), "'more'"),
    ("tensors", with_payload(b""), "a payload of 0 bytes has no header"),
    ("finite", sent(delta([[NAN, 0.0], [0.0, 0.0]])), "'delta/w' holds NaN or infinity"),
    ("finite", sent(delta([[0.0, 0.0], [0.0, -INF]])), "'delta/w' holds NaN or infinity"),
    (
        "finite",
        sent(replace(UPDATE, tensors=UPDATE.tensors | {"b": torch.tensor([INF])})),
        "'tensors/b' holds NaN or infinity",
    ),
    ("finite", sent(replace(UPDATE, loss=NAN)), "loss is nan"),
    ("finite", sent(replace(UPDATE, scalars={"normaliser": -INF})), "scalar_normaliser is -inf"),
    ("norm", sent(delta([[3.0, 0.0], [0.0, 4.0]], 12.01)), "norm is 13.0092, at most 13 is"),
    ("norm", sent(delta([[3e38, 3e38], [3e38, 3e38]])), "norm is 6e+38, at most 13 is"),
    ("examples", sent(replace(UPDATE, examples=11)), "11 examples, the roster allows 1 to 10"),
    ("examples", sent(replace(UPDATE, examples=0)), "0 examples, the roster allows 1 to 10"),
    ("examples", sent(replace(UPDATE, steps=0)), "0 steps"),
]


@pytest.mark.parametrize(("check", "message", "reason"), BAD, ids=[f"{c}-{r}" for c, _, r in BAD])
def test_a_bad_update_is_refused_by_the_checks_name(
    check: Check, message: Message, reason: str
) -> None:
    found, why = refused(message)
    assert found == check
    assert reason in why


def test_every_check_is_tried() -> None:
    assert {check for check, _, _ in BAD} == set(get_args(Check))


def test_without_a_bound_any_finite_norm_is_admitted() -> None:
    message = sent(delta([[3e38, 3e38], [3e38, 3e38]]))
    unbounded = replace(EXPECTED, norm_bound=None)
    assert isinstance(admit(message.sealed, message.payload, unbounded), Admitted)


def test_a_norm_beyond_float64_is_refused() -> None:
    """The squares overflow, so the norm is infinite; that is over any bound."""
    update = replace(UPDATE, delta={"w": torch.tensor([1e200, 1e200], dtype=torch.float64)})
    expected = replace(EXPECTED, template=update_template(update.delta, update.tensors, {}))
    assert refused(sent(update), replace(expected, norm_bound=1e190))[0] == "norm"


def test_the_checks_come_in_order() -> None:
    """A message that fails all of them, mended check by check: the first that fails is named.

    The envelope's own fields, of which each mending leaves the later ones wrong.
    """
    wrong = {
        "kind": "order",
        "hospital": "south",
        "run": "run-6",
        "round": 2,
        "base": "0" * 64,
        "payload": "0" * 64,
        "nonce": OTHER_NONCE,
        "numbers": {"loss": NAN},
        "examples": 11,
    }
    checks = ["kind", "hospital", "run", "round", "base", "payload", "nonce", "tensors", "examples"]
    body = sent().payload
    assert refused(Message(changed(SOUTH, **wrong).sealed, bytes(5000)))[0] == "size"
    assert refused(Message(changed(SOUTH, **wrong).sealed, body))[0] == "signature"
    for (field, _), check in zip(list(wrong.items()), checks, strict=True):
        assert refused(Message(changed(**wrong).sealed, body))[0] == check
        del wrong[field]
    honest = changed()
    assert isinstance(admit(honest.sealed, honest.payload, EXPECTED), Admitted)


def test_shapes_come_before_finite_before_norm_before_examples() -> None:
    ill = torch.full((2, 2), NAN)
    many = {"examples": 11, "tensors": UPDATE.tensors}
    odd = replace(UPDATE, **many, delta={"w": ill, "b": torch.zeros(2)})
    assert refused(sent(odd))[0] == "tensors"
    nan = replace(UPDATE, **many, delta={"w": ill, "b": torch.zeros(1)})
    assert refused(sent(nan))[0] == "finite"
    far = replace(UPDATE, **many, delta={"w": torch.full((2, 2), 7.0), "b": torch.zeros(1)})
    assert refused(sent(far))[0] == "norm"
    assert refused(sent(replace(UPDATE, examples=11)))[0] == "examples"


def test_an_update_is_admitted_once() -> None:
    message = sent()
    first = admit(message.sealed, message.payload, EXPECTED)
    assert isinstance(first, Admitted)
    used = replace(EXPECTED, used={*EXPECTED.used, first.nonce})
    assert refused(message, used)[0] == "nonce"


def test_each_hospital_gets_an_envelope_of_its_own_for_one_payload() -> None:
    orders = ordered()
    for hospital, nonce in (("north", NONCE), ("south", OTHER_NONCE)):
        awaited = replace(AWAITED, hospital=hospital)
        found = accept_order(orders.sealed[hospital], orders.payload, awaited)
        assert isinstance(found, Accepted)
        assert (found.base, found.nonce) == (orders.base, nonce) == (BASE, nonce)
        assert (found.order.round, found.order.rate) == (3, 0.1)
        assert to_bytes(found.order.weights) == to_bytes(WEIGHTS)
        assert to_bytes(found.order.extra) == to_bytes(EXTRA)


def test_the_first_round_may_broadcast_nothing_else() -> None:
    orders = ordered(replace(ORDER, extra={}))
    found = accept_order(orders.sealed["north"], orders.payload, AWAITED)
    assert isinstance(found, Accepted)
    assert found.order.extra == {}


def test_a_site_may_do_a_round_again_that_it_can() -> None:
    """A coordinator that was killed asks for the round again: the site says what is past."""
    orders = ordered()
    for after, kind in ((0, Accepted), (2, Accepted), (3, Refused), (4, Refused)):
        awaited = replace(AWAITED, after=after)
        assert type(accept_order(orders.sealed["north"], orders.payload, awaited)) is kind


LARGER = order_template({**WEIGHTS, "more": torch.zeros(1)}, EXTRA)
ILL = {**WEIGHTS, "w": torch.full((2, 2), NAN)}


@pytest.mark.parametrize(
    ("check", "orders", "awaited"),
    [
        ("signature", ordered(private=SOUTH), AWAITED),
        ("signature", ordered(), replace(AWAITED, key=SOUTH.public)),
        ("hospital", ordered(), replace(AWAITED, hospital="south")),
        ("run", ordered(), replace(AWAITED, run="run-8")),
        ("round", ordered(), replace(AWAITED, after=3)),
        ("payload", replace(ordered(), payload=ordered(replace(ORDER, extra={})).payload), AWAITED),
        ("size", replace(ordered(), payload=bytes(5000)), AWAITED),
        ("tensors", ordered(replace(ORDER, weights={"w": torch.ones(2, 2)})), AWAITED),
        ("tensors", ordered(replace(ORDER, extra={"w": torch.ones(2, 2)})), AWAITED),
        ("tensors", ordered(), replace(AWAITED, template=LARGER)),
        ("finite", ordered(replace(ORDER, weights=ILL)), AWAITED),
        ("finite", ordered(replace(ORDER, rate=INF)), AWAITED),
    ],
)
def test_a_site_refuses_any_other_order(check: Check, orders: Orders, awaited: Awaited) -> None:
    sealed, body = orders.sealed["north"], orders.payload
    found = accept_order(sealed, body, awaited)
    assert isinstance(found, Refused)
    assert (found.check, found.hospital, found.round) == (check, awaited.hospital, None)


def test_the_base_that_was_signed_is_that_of_the_weights() -> None:
    message = changed(
        COORDINATOR,
        kind="order",
        payload=digest(ordered().payload),
        base="0" * 64,
        numbers={"rate": 0.1, "state": 0.0},
    )
    found = accept_order(message.sealed, ordered().payload, AWAITED)
    assert isinstance(found, Refused)
    assert (found.check, found.reason[:12]) == ("base", "base is '000")


def test_an_update_is_no_order_and_an_order_no_update() -> None:
    """Even where one key signs both, as in a test of everything on one machine."""
    message = of_update(UPDATE, RUN, BASE, NONCE, NORTH)
    orders = of_order(ORDER, RUN, {"north": NONCE}, NORTH)
    assert refused(Message(orders.sealed["north"], message.payload))[0] == "kind"
    found = accept_order(message.sealed, orders.payload, replace(AWAITED, key=NORTH.public))
    assert isinstance(found, Refused)
    assert found.check == "kind"


def test_what_running_statistics_changed_counts_in_the_norm() -> None:
    update = replace(UPDATE, buffers={"n.running_var": torch.tensor([5.0])})
    template = update_template(update.delta, update.tensors, update.buffers)
    before = {"n.running_var": torch.tensor([1.0])}
    expected = replace(EXPECTED, template=template, weights=before)  # √(13² + 4²) = 13.6
    message = sent(update)
    for bound, admitted in ((13.7, True), (13.5, False)):
        found = admit(message.sealed, message.payload, replace(expected, norm_bound=bound))
        assert isinstance(found, Admitted) is admitted
    found = admit(message.sealed, message.payload, replace(expected, norm_bound=20.0))
    assert isinstance(found, Admitted)
    assert found.update.buffers["n.running_var"].tolist() == [5.0]
    gone = admit(message.sealed, message.payload, replace(expected, norm_bound=20.0, weights={}))
    assert isinstance(gone, Refused)
    assert gone.check == "norm"
