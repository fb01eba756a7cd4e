"""The result in words: on the Prefect page, and above the run and the model in MLflow."""

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from federated.metrics import summary
from federated.results import Results
from tasks.comparison import comparison, number

_SHOWN = {"AUROC": "auroc", "accuracy": "accuracy"}


def announce(found: Results) -> None:
    """Put headline and table of a finished federation on its Prefect page."""
    run = found.run
    title = f"# {run.algorithm} on {run.dataset}"
    create_markdown_artifact(
        f"{title}\n{description(found)}",
        key="federation-result",
        description=f"{run.algorithm} on {run.dataset}: what came of it",
    )
    create_table_artifact(
        _rows(found),
        key="federation-table",
        description="Test rows of each hospital, of all together, and the baselines",
    )


def description(found: Results) -> str:
    """Markdown: what was trained, and how well it does."""
    run = found.run
    lines = [
        f"{len(run.examples)} hospitals, {run.rounds} rounds of {run.algorithm}, "
        f"model {run.model}, data set {run.dataset}, seed {run.seed}.",
        "",
        f"- AUROC over all hospitals: **{number(found.overall.auroc)}**",
        f"- accuracy over all hospitals: {number(found.overall.accuracy)}",
        f"- AUROC, mean of hospitals: {number(summary(found.hospitals).mean['auroc'])}",
    ]
    worst = found.worst_hospital["auroc"]
    if worst is not None:
        lines.append(f"- worst hospital: {worst.hospital}, AUROC {number(worst.value)}")
    if found.baselines.alone is not None:
        separate = number(found.baselines.alone.mean["auroc"])
        lines.append(f"- AUROC, mean of hospitals alone: {separate}")
    if found.baselines.pooled is not None:
        lines.append(f"- AUROC, all data pooled: {number(found.baselines.pooled.all.auroc)}")
    return "\n".join(lines)


def _rows(found: Results) -> list[dict[str, str]]:
    """A line a hospital, their mean, and all of them together."""
    return [
        {"hospital": row.name, "test rows": "" if row.test is None else str(row.test)}
        | {
            title if model == "federated" else f"{title} {model}": number(figures[metric])
            for title, metric in _SHOWN.items()
            for model, figures in row.models.items()
        }
        for row in comparison(found)
    ]
