"""The plain PyTorch loop that anyone would write: FedAvg, one hospital after another, one thread.

It keeps nothing: no journal, no metrics but the accuracy, no weights. What it takes is what the
mathematics takes without any care for speed.
"""

import torch

from benchmarks.plain import Rounds, Weights, everyone, initial, task, train


def main() -> None:
    """All rounds of the task, then the answer."""
    given = task()
    torch.manual_seed(given.seed)
    hospitals, model = everyone(given), initial(given)
    rounds = Rounds(given)
    for _ in range(given.rounds):
        cohort = torch.randperm(given.hospitals)[: given.cohort].tolist()
        before = {name: t.clone() for name, t in model.state_dict().items()}
        updates: list[Weights] = []
        for index in cohort:
            model.load_state_dict(before)
            inputs, targets = hospitals[index]
            train(model, inputs, targets, given)
            updates.append({name: t.clone() for name, t in model.state_dict().items()})
        mean = {n: torch.stack([own[n] for own in updates]).mean(dim=0) for n in before}
        model.load_state_dict(mean)  # every hospital has as many rows
        rounds.ended(model)
    rounds.print({"torch": torch.__version__})


if __name__ == "__main__":
    main()
