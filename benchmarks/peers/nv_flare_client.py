"""One hospital under NVIDIA FLARE's client API."""

import nvflare.client as flare
from nvflare.client import FLModel

from benchmarks.plain import Network, hospital, task, train


def main() -> None:
    """Train whenever the server sends a model."""
    given = task()
    flare.init()
    index = int(flare.get_site_name().rpartition("-")[2]) - 1  # site-1 …
    inputs, targets = hospital(given, index)
    model = Network(given.images)
    while flare.is_running():
        received = flare.receive()
        model.load_state_dict(received.params)
        steps = train(model, inputs, targets, given)
        told = {"NUM_STEPS_CURRENT_ROUND": steps}
        flare.send(FLModel(params=model.state_dict(), meta=told))


if __name__ == "__main__":
    main()
