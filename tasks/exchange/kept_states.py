"""A hospital's own state of a job, kept on its own disk: one file a round that it trained."""

from dataclasses import dataclass
from pathlib import Path

from federated.errors import DataError
from federated.types import Weights
from federated.weights import from_bytes, to_bytes
from tasks.files import write_atomic


@dataclass(frozen=True)
class KeptStates:
    """folder: of one job."""

    folder: Path

    def load(self, number: int) -> Weights:
        """After this round; empty for 0. Raises DataError if it is not there any more."""
        if number == 0:
            return {}
        try:
            return from_bytes(self._path(number).read_bytes())
        except OSError as error:
            raise DataError(
                f"{self._path(number)}: this hospital's own state after round {number} is gone "
                f"({error.strerror}); restore it, or begin the job again"
            ) from error

    def store(self, number: int, state: Weights, still: int) -> None:
        """Keep this round's, durably. still: the round that counted until now; older ones go."""
        write_atomic(self._path(number), to_bytes(state), durable=True)
        for path in self.folder.glob("*.safetensors"):
            if int(path.stem) < still:
                path.unlink()

    def approve(self, plan: str) -> None:
        """Remember that a person here approved the plan with this digest."""
        write_atomic(self.folder / f"approved-{plan}", b"", durable=True)

    def approved(self, plan: str) -> bool:
        """Was it, in this job?"""
        return (self.folder / f"approved-{plan}").exists()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.safetensors"
