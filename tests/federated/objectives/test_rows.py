"""Losses by row brought together, by hand, and shapes that must fit."""

import pytest
import torch

from federated.errors import DataError
from federated.objectives import from_dict, reading_of
from federated.objectives._rows import reduced, require, require_some

LOSSES, WEIGHTS = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([3.0, 1.0, 0.5])


def test_losses_are_reduced_by_hand() -> None:
    assert reduced(LOSSES, None, "none").tolist() == [1.0, 2.0, 6.0]
    assert reduced(LOSSES, None, "sum").item() == 9.0
    assert reduced(LOSSES, None, "mean").item() == 3.0
    assert reduced(LOSSES, WEIGHTS, "none").tolist() == [3.0, 2.0, 3.0]
    assert reduced(LOSSES, WEIGHTS, "sum").item() == 8.0
    assert reduced(LOSSES, WEIGHTS, "mean").item() == pytest.approx(8 / 4.5)


@pytest.mark.parametrize(
    ("outputs", "targets", "width", "shape", "fits"),
    [
        ((4, 1), (4,), 1, (), True),
        ((4, 3), (4, 3), 3, (3,), True),
        ((4, 2), (4,), 1, (), False),
        ((3, 1), (4,), 1, (), False),
        ((4,), (4,), 1, (), False),
        ((4, 1), (4, 1), 1, (), False),
        ((4, 3), (4, 2), 3, (3,), False),
        ((4, 2), (4, 3), 3, (3,), False),
    ],
)
def test_shapes_must_fit(
    outputs: tuple[int, ...],
    targets: tuple[int, ...],
    width: int,
    shape: tuple[int, ...],
    fits: bool,
) -> None:
    given = torch.zeros(outputs), torch.zeros(targets)
    if fits:
        require(*given, width, shape)
    else:
        with pytest.raises(ValueError, match="do not fit targets"):
            require(*given, width, shape)


def test_only_the_mean_of_no_rows_is_refused() -> None:
    require_some(torch.zeros(0), "sum")
    require_some(torch.zeros(1), "mean")
    with pytest.raises(ValueError, match="mean loss of no rows"):
        require_some(torch.zeros(0), "mean")


def test_a_kind_that_is_none_is_refused() -> None:
    assert reading_of("survival").kind == "survival"
    with pytest.raises(ValueError, match="no objective is called 'ranking'; valid: class"):
        reading_of("ranking")
    with pytest.raises(DataError, match="their kind 'ranking' is none of"):
        from_dict({"kind": "ranking"})
