import pytest

from federated.config import FederationConfig
from federated.errors import WardroundError
from federated.shares import Missing, Share
from federated.types import Receipt
from tasks.quorum import enough, require

COHORT = ["north", "south", "west"]


def settings(quorum: int | None, on_missing: str = "reweight") -> FederationConfig:
    return FederationConfig.model_validate(
        {
            "mode": "deployment",
            "exchange": "exchange",
            "key": "keys/coordinator",
            "roster": "roster.yaml",
            "join_s": 1.0,
            "deadline_s": 1.0,
            "retries": 0,
            "quorum": quorum,
            "on_missing": on_missing,
            "norm_bound": None,
        }
    )


def share(*there: str) -> Share:
    receipts = tuple(Receipt(h, 4, 10, 1, 0.5, {}, 8) for h in there)
    missing = tuple(Missing(h, 4, "no answer in time") for h in COHORT if h not in there)
    return Share(receipts, None, missing=missing)


@pytest.mark.parametrize(
    ("quorum", "there", "goes_on"),
    [
        (None, COHORT, True),
        (None, ["north", "south"], False),
        (2, ["north", "south"], True),
        (2, ["north"], False),
        (5, COHORT, True),  # no more than were asked
    ],
)
def test_a_quorum_makes_a_round(quorum: int | None, there: list[str], goes_on: bool) -> None:
    assert enough(settings(quorum), COHORT, share(*there)) is goes_on


def test_on_missing_stop_needs_all_of_them() -> None:
    assert not enough(settings(1, "stop"), COHORT, share("north", "south"))
    assert enough(settings(1, "stop"), COHORT, share(*COHORT))


def test_the_error_names_round_hospitals_and_reasons() -> None:
    with pytest.raises(WardroundError) as found:
        require(settings(None), COHORT, share("north", "south"), 4)
    assert "round 4: 2 of 3 hospitals answered, quorum 3" in str(found.value)
    assert "west: no answer in time" in str(found.value)
    require(settings(2), COHORT, share("north", "south"), 4)
