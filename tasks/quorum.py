"""Whether a round goes on without the hospitals that are missing."""

from collections.abc import Sequence

from federated.config import FederationConfig
from federated.errors import WardroundError
from federated.shares import Share


def enough(settings: FederationConfig, cohort: Sequence[str], whole: Share) -> bool:
    """Are so many updates there as make a round?"""
    if whole.missing and settings.on_missing == "stop":
        return False
    return len(whole.receipts) >= min(settings.quorum or len(cohort), len(cohort))


def shortfall(settings: FederationConfig, cohort: Sequence[str], whole: Share, number: int) -> str:
    """What is wrong, naming round and hospitals."""
    reasons = "; ".join(f"{one.hospital}: {one.why}" for one in whole.missing)
    return (
        f"round {number}: {len(whole.receipts)} of {len(cohort)} hospitals answered, quorum "
        f"{settings.quorum or len(cohort)}, on_missing {settings.on_missing} ({reasons})"
    )


def wait_for_a_person(settings: FederationConfig, why: str) -> None:
    """Pause the flow run, for federation.pause_s at most.

    Raises WardroundError if nobody resumes it.
    """
    from tasks.suspension import pause_until_resumed  # what a simulation does not need

    if not settings.pause_s or not pause_until_resumed(why, settings.pause_s):
        raise WardroundError(
            f"{why}. All rounds before are kept: the same command goes on from there once they "
            "are back"
        )
