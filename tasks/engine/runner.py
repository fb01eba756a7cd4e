"""The task runner that `engine.runner` names, started."""

import importlib
from contextlib import AbstractContextManager

from federated.errors import ConfigError
from tasks.engine.post import Started
from tasks.job import Job, cores


def started(job: Job) -> AbstractContextManager[Started]:
    """The running task runner of a job that does not train in this process's threads.

    Raises ConfigError for a job that cannot be trained there, for an extra that is not installed
    and for a cluster that does not answer.
    """
    wanted = job.config.engine
    if job.device.type != "cpu":
        raise ConfigError(
            f"engine.runner {wanted.runner} trains on the CPU: set run.device cpu, or "
            "engine.runner threads"
        )
    if not job.config.run.parallel:
        raise ConfigError(
            f"engine.runner {wanted.runner} trains hospitals side by side: set run.parallel true, "
            "or engine.runner threads (as a study's runs need it)"
        )
    workers = min(wanted.workers or cores(), len(job.sites))
    try:
        module = importlib.import_module(f"tasks.engine.on_{wanted.runner}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"engine.runner {wanted.runner}: {error.name} is not installed: "
            f"pip install 'wardround[{wanted.runner}]'"
        ) from error
    found: AbstractContextManager[Started] = module.started(workers, wanted.address)
    return found
