"""A line for a person, wherever it comes up."""

import sys
from contextlib import suppress

from tasks.environment import hushed


def tell(line: str) -> None:
    """Tell a person: on the flow run's log, if there is one, and where logs are hushed on standard
    error. Control characters, which a file's column names may hold, are left out."""
    text = "".join(letter for letter in line if letter.isprintable())
    if "prefect" in sys.modules:  # else there is no flow run, and it takes seconds to import
        from prefect.exceptions import MissingContextError
        from prefect.logging import get_run_logger

        with suppress(MissingContextError):
            get_run_logger().info("%s", text)
    if hushed():
        print(f"note: {text}", file=sys.stderr, flush=True)
