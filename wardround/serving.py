"""Serving the training flow on a schedule."""

from collections.abc import Sequence
from pathlib import Path

from federated.errors import WardroundError


def serve_flow(
    params: Path,
    overrides: Sequence[str],
    out: Path,
    name: str,
    cron: str,
    every: int | None,
) -> None:
    """Serve until interrupted. A run that is due while the last one still runs is cancelled.

    Raises WardroundError if no Prefect server answers, or the schedule is not valid.
    """
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy

    from flows.federated_training import federated_training
    from tasks.server import require_server

    require_server()
    one_at_a_time = ConcurrencyLimitConfig(
        limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
    )
    schedule = {"interval": every} if every is not None else {"cron": cron}
    try:
        federated_training.serve(
            name=name,
            global_limit=one_at_a_time,
            parameters={
                "params": str(params),
                "overrides": list(overrides),
                "out": str(out),
                "project": str(Path.cwd()),
            },
            **schedule,
        )
    except ValueError as error:
        raise WardroundError(f"--cron {cron!r}: {error}") from error
