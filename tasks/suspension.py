"""What waits for a person: the flow run is Paused on the Prefect page, and says why.

Prefect's own `pause_flow_run` can give its state no message, and does not pause a second time under
a key that the flow run has used, as before it was killed.
"""

import time
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import SetStateStatus
from prefect.runtime import flow_run
from prefect.states import Paused

from federated.errors import WardroundError
from tasks.exchange.envelope import new_nonce
from tasks.exchange.mailbox import Mailbox

_LOOK = 2.0  # seconds between two looks
_PATIENCE = 3600.0  # seconds for which the Prefect server may be gone


def pause_until_resumed(why: str, seconds: int) -> bool:
    """Pause the flow run that this is called in; False if nobody resumed it in so many seconds.

    Raises WardroundError if it was cancelled meanwhile.
    """
    assert flow_run.id is not None
    me = UUID(flow_run.id)
    mailbox, until = Mailbox(me, _PATIENCE), time.monotonic() + seconds
    paused: State[Any] = Paused(message=why, timeout_seconds=seconds, pause_key=new_nonce())
    mailbox.patiently(lambda: mailbox.client.set_flow_run_state(me, paused))
    get_run_logger().warning("%s; paused until a person resumes it", why)
    print(f"{why}\nPaused: `wardround resume {me}`, or Resume on the Prefect page", flush=True)
    while time.monotonic() < until:
        state = mailbox.state(me)
        if state is not None and state.is_running():
            return True
        if state is None or state.is_cancelling() or state.is_final():
            raise WardroundError(f"{why}; cancelled while it was paused ({state and state.name})")
        time.sleep(_LOOK)
    return False


def resume(run: str) -> None:
    """Resume a paused flow run: of a coordinator that waits, or of a session that asks approval.

    Raises WardroundError if it cannot be.
    """
    try:
        given = UUID(run)
    except ValueError as error:
        raise WardroundError(f"{run!r} is no flow run's id; the Prefect page shows it") from error
    with get_client(sync_client=True) as client:
        answer = client.resume_flow_run(given)
    if answer.status is not SetStateStatus.ACCEPT:
        why = getattr(answer.details, "reason", None) or "is it paused?"
        raise WardroundError(f"flow run {run} is not resumed: {why}")
