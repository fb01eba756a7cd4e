"""The whole model is shared."""

from federated.personal import Personal
from federated.plugins import options


@options
class Shared(Personal):
    """No options."""
