"""What robustness cost, in words; on a sample whose figures are read back from the record."""

from pathlib import Path

from federated.results import Baselines, Pooled
from tasks.comparison import PLAIN, comparison, robustness_cost
from tasks.report_files import read_results
from tests.tasks.samples import write_sample


def test_the_smallest_hospital_is_named_with_both_figures(tmp_path: Path) -> None:
    write_sample(tmp_path)
    found = read_results(tmp_path)
    assert robustness_cost(found) is None
    pooled = found.baselines.pooled
    assert pooled is not None
    plain = Pooled(hospitals=pooled.hospitals, all=pooled.all)
    robust = found.model_copy(update={"baselines": Baselines(plain=plain)})
    text = robustness_cost(robust)
    examples = found.run.examples
    smallest = min(sorted(examples), key=lambda name: examples[name].train)
    ours, theirs = found.hospitals[smallest]["auroc"], pooled.hospitals[smallest]["auroc"]
    assert ours is not None
    assert theirs is not None
    assert text is not None
    assert text.startswith(f"{smallest}, with {examples[smallest].train} training rows")
    assert f"{ours:.3f} by fedavg, {theirs:.3f} by the plain mean ({ours - theirs:+.3f})" in text
    assert all(PLAIN in row.models for row in comparison(robust))
