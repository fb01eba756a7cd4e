"""NVIDIA FLARE's simulator: its FedAvg recipe, up to eight client processes at once.

The ends of rounds are read from the server's log, and only the last round's model is evaluated:
its own workflow has no place for a central evaluation.
"""

import re
import shutil
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import torch
from nvflare.app_opt.pt.recipes.fedavg import FedAvgRecipe
from nvflare.recipe.sim_env import SimEnv

from benchmarks.measure import BENCH
from benchmarks.plain import Rounds, initial, task

_PLACE = BENCH / "nvflare"
_ENDED = re.compile(
    r"^(\S+ \S+,\d{3}) - FedAvg - .*\n[-=]+\n *(?:Round [1-9]\d* started|Finished FedAvg)",
    re.MULTILINE,
)
_CLIENTS = 8
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def main() -> None:
    """All rounds, then the answer."""
    given = task()
    shutil.rmtree(_PLACE, ignore_errors=True)
    _PLACE.mkdir(parents=True)
    begun = _PLACE / "initial.pt"
    torch.save(initial(given).state_dict(), begun)
    recipe = FedAvgRecipe(
        name="benchmark",
        model={"class_path": "benchmarks.plain.Network", "args": {"images": given.images}},
        initial_ckpt=str(begun),
        min_clients=given.cohort,
        num_rounds=given.rounds,
        train_script=str(Path(__file__).with_name("nv_flare_client.py")),
    )
    threads = min(given.hospitals, _CLIENTS)  # with fewer, every round starts them all again
    environment = SimEnv(
        num_clients=given.hospitals, num_threads=threads, workspace_root=str(_PLACE)
    )
    recipe.execute(environment)
    rounds = Rounds(given)
    (saved,) = _PLACE.rglob("FL_global_model.pt")
    model = initial(given)
    model.load_state_dict(torch.load(saved, weights_only=True)["model"])
    rounds.ended(model)
    rounds.times = ends()
    rounds.print({"nvflare": version("nvflare"), "torch": torch.__version__})


def ends() -> list[float]:
    """When each round ended, in seconds, by the server's log."""
    log = _PLACE / "benchmark" / "server" / "log.txt"
    text = _COLOURS.sub("", log.read_text())
    found = _ENDED.findall(text)
    return [datetime.strptime(t, "%Y-%m-%d %H:%M:%S,%f").timestamp() for t in found]


if __name__ == "__main__":
    main()
