"""The same step size in every round."""

from federated.plugins import options


@options
class Constant:
    """No options."""

    def factor(self, number: int, rounds: int) -> float:
        """1."""
        return 1.0
