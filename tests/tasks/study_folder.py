"""A finished study's folder as `wardround study` leaves it, with made-up figures."""

import json
from collections.abc import Mapping
from pathlib import Path

from federated.results import ALL
from federated.study import Study, runs
from tasks.report_files import RESULTS, ROUNDS
from tasks.study_plan import STUDY_FILE, Done, Identity, write_done


def write_folder(folder: Path, study: Study, aurocs: Mapping[str, Mapping[int, float]]) -> Path:
    """aurocs: setting → seed → AUROC after round 2, of all rows and of both hospitals.

    Others did not finish. Round 1 ends at half of it. Each of two hospitals sends 500,000 bytes a
    round.
    """
    folder.mkdir(parents=True)
    (folder / STUDY_FILE).write_text(study.model_dump_json())
    for run in runs(study):
        if run.seed in aurocs.get(run.setting, {}):
            _write_run(folder / run.folder, aurocs[run.setting][run.seed])
    return folder


def _write_run(folder: Path, auroc: float) -> None:
    folder.mkdir(parents=True)
    figures = {"auroc": auroc}
    metrics = {
        ALL: figures,
        "hospitals": {"north": figures, "south": figures},
        "worst_hospital": {"auroc": {"hospital": "north", "value": auroc}},
        "run": {"data": {"north": "1f", "south": "2e"}},
    }
    (folder / RESULTS).write_text(json.dumps(metrics))
    lines = ["round,hospital,auroc,bytes_sent"]
    for number, value in ((1, auroc / 2), (2, auroc)):
        lines += [f"{number},{h},{value},500000" for h in ("north", "south")]
        lines.append(f"{number},{ALL},{value},")
    (folder / ROUNDS).write_text("\n".join(lines) + "\n")
    write_done(folder, Done(Identity("data", "code"), 1.5))
