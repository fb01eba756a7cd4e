"""Which code a run used, as tags of its MLflow run: commit, plug-ins, and what git lacks."""

import json
from importlib.util import find_spec
from pathlib import Path

from federated.config import Config
from tasks.study_code import code_digest, plug_ins, used
from tasks.versions import git_commit, uncommitted

CODE, PLUG_INS = "wardround.code", "wardround.plug_ins"
UNCOMMITTED = "wardround.uncommitted_code"
COMMIT, DIRTY = "mlflow.source.git.commit", "mlflow.source.git.dirty"  # MLflow's own names
_SHORT, _NAMED = 12, 20  # hexadecimal digits of a file's hash; files named in a tag


def code_tags(config: Config, project: Path) -> dict[str, str]:
    """CODE: SHA-256 of all modules behind the numbers. PLUG_INS: JSON, the rules' modules → hash of
    their files.

    Where git knows the project: COMMIT, and DIRTY, `true` where a tracked file differs from it or
    where code that the run used is in no commit; UNCOMMITTED names the latter.
    """
    modules = used(config)
    tags = {
        CODE: code_digest(config),
        PLUG_INS: json.dumps({name: modules[name][:_SHORT] for name in sorted(plug_ins(config))}),
    }
    missing = uncommitted(_files(list(modules)), Path(__file__).resolve().parents[1])
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        tags[UNCOMMITTED] = ", ".join(missing[:_NAMED]) + more
    commit = git_commit(project)
    if commit is not None:
        changed = commit.endswith("+changes") or bool(missing)
        tags |= {COMMIT: commit.removesuffix("+changes"), DIRTY: str(changed).lower()}
    elif missing:
        tags[DIRTY] = "true"
    return tags


def _files(modules: list[str]) -> list[str]:
    """Where they lie."""
    found = (find_spec(name) for name in modules)
    return [spec.origin for spec in found if spec is not None and spec.origin is not None]
