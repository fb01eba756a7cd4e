"""The result in words: on the Prefect page, and above the run and the model in MLflow."""

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from federated.metrics import summary
from federated.results import Results
from tasks.comparison import comparison, robustness_cost, titled, worst_in_words
from tasks.shown import Figure, doubts, figure, number


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
    run, reading = found.run, found.reading
    name, label, second = reading.headline.name, titled(reading.headline, found), reading.second
    mean = summary(found.hospitals, reading.measures).mean[name]
    overall = figure(found.overall, name)
    lines = [
        f"{len(run.examples)} hospitals, {run.rounds} rounds of {run.algorithm}, "
        f"model {run.model}, data set {run.dataset}, seed {run.seed}.",
        "",
        f"- {label} over all hospitals: **{overall.text}**{_behind(overall)}",
        f"- {second.in_a_sentence} over all hospitals: {number(found.overall[second.name])}",
        f"- {label}, mean of hospitals: {number(mean)}",
    ]
    worst = found.worst_hospital[name]
    if worst is not None:
        words = worst_in_words(found, reading.headline)
        lines.append(f"- worst hospital: {label} {number(worst.value)}, {words}")
    if found.baselines.alone is not None:
        separate = number(found.baselines.alone.mean[name])
        lines.append(f"- {label}, mean of hospitals alone: {separate}")
    if found.baselines.pooled is not None:
        lines.append(f"- {label}, all data pooled: {number(found.baselines.pooled.all[name])}")
    cost = robustness_cost(found)
    if cost is not None:
        lines.append(f"- what robustness cost {cost}")
    doubt = doubts([overall])
    lines += [f"- {text}" for text in (*found.overall.notes, doubt) if text]
    return "\n".join(lines)


def _behind(found: Figure) -> str:
    return f" (95 % {found.span})" if found.span else ""


def _rows(found: Results) -> list[dict[str, str]]:
    """A line a hospital, their mean, and all of them together."""
    return [
        {"hospital": row.name, "test rows": "" if row.test is None else str(row.test)}
        | {
            m.in_a_sentence if model == "federated" else f"{m.in_a_sentence} {model}": figures[
                m.name
            ].text
            + _behind(figures[m.name])
            for m in found.reading.compared[:2]
            for model, figures in row.models.items()
        }
        for row in comparison(found)
    ]
