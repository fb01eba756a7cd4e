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


def require(settings: FederationConfig, cohort: Sequence[str], whole: Share, number: int) -> None:
    """Raises WardroundError, naming round and hospitals, if they are not enough."""
    if enough(settings, cohort, whole):
        return
    reasons = "; ".join(f"{one.hospital}: {one.why}" for one in whole.missing)
    raise WardroundError(
        f"round {number}: {len(whole.receipts)} of {len(cohort)} hospitals answered, quorum "
        f"{settings.quorum or len(cohort)}, on_missing {settings.on_missing} ({reasons}). All "
        "rounds before are kept: the same command goes on from there once they are back"
    )
