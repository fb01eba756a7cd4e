"""The result on the Prefect page: a markdown summary and a table, as artifacts of the run."""

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from federated.metrics import summary
from federated.results import Results


def announce(found: Results) -> None:
    """Put headline and table of a finished federation on its Prefect page."""
    run = found.run
    lines = [
        f"# {run.algorithm} on {run.dataset}",
        f"{len(run.examples)} hospitals, {run.rounds} rounds, model {run.model}.",
        "",
        f"- AUROC over all hospitals: **{_figure(found.overall.auroc)}**",
        f"- accuracy over all hospitals: {_figure(found.overall.accuracy)}",
    ]
    mean = summary(found.hospitals).mean["auroc"]
    lines.append(f"- AUROC, mean of hospitals: {_figure(mean)}")
    worst = found.worst_hospital["auroc"]
    if worst is not None:
        lines.append(f"- worst hospital: {worst.hospital}, AUROC {_figure(worst.value)}")
    if found.baselines.alone is not None:
        separate = _figure(found.baselines.alone.mean["auroc"])
        lines.append(f"- AUROC, mean of hospitals alone: {separate}")
    if found.baselines.pooled is not None:
        lines.append(f"- AUROC, all data pooled: {_figure(found.baselines.pooled.all.auroc)}")
    create_markdown_artifact("\n".join(lines), key="federation-result")
    create_table_artifact(_rows(found), key="federation-table")


def _rows(found: Results) -> list[dict[str, str]]:
    alone, pooled = found.baselines.alone, found.baselines.pooled
    rows = []
    for hospital, own in found.hospitals.items():
        row = {
            "hospital": hospital,
            "test rows": str(own.rows),
            "AUROC": _figure(own.auroc),
            "accuracy": _figure(own.accuracy),
        }
        if alone is not None:
            row["AUROC alone"] = _figure(alone.hospitals[hospital].auroc)
        if pooled is not None:
            row["AUROC pooled"] = _figure(pooled.hospitals[hospital].auroc)
        rows.append(row)
    return rows


def _figure(value: float | None) -> str:
    return "—" if value is None else f"{value:.4f}"
