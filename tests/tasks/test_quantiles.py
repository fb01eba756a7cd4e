"""Many hospitals in a few figures, by hand."""

from federated.metrics import Measure, Metrics
from tasks.quantiles import defined, quantiles, worst

AUROC, LOSS = Measure("auroc", "AUROC", True), Measure("loss", "Loss", False)


def hospitals(count: int) -> dict[str, Metrics]:
    """h00, h01, …: AUROC 0, 1/10, … and loss 1, 2, …; the last has no AUROC."""
    found = {f"h{i:02d}": Metrics(rows=1, auroc=i / 10, loss=float(i + 1)) for i in range(count)}
    return found | {f"h{count:02d}": Metrics(rows=1, auroc=None, loss=float(count + 1))}


def test_quantiles_are_of_the_hospitals_that_have_the_metric() -> None:
    found = quantiles(hospitals(11), [AUROC])  # AUROC 0.0 … 1.0: every quantile is itself
    assert {k: round(v, 12) for k, v in found.items()} == {
        "p10_hospital/auroc": 0.1,
        "p50_hospital/auroc": 0.5,
        "p90_hospital/auroc": 0.9,
    }
    assert quantiles({"h": Metrics(rows=1, auroc=None)}, [AUROC]) == {}


def test_the_ten_worst_are_low_where_high_is_good_and_high_where_low_is() -> None:
    assert [h for h, _ in worst(hospitals(12), AUROC)] == [f"h{i:02d}" for i in range(10)]
    assert worst(hospitals(12), LOSS)[0] == ("h12", 13.0)
    assert [
        h for h, _ in worst({"b": Metrics(rows=1, loss=1.0), "a": Metrics(rows=1, loss=1.0)}, LOSS)
    ] == ["a", "b"]


def test_undefined_is_missing() -> None:
    assert defined(Metrics(rows=2, auroc=None, loss=0.5)) == [("rows", 2.0), ("loss", 0.5)]
