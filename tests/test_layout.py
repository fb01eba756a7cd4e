"""Imports run one way: wardround → flows → tasks → {federated, models}."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("wardround", "flows", "tasks", "federated", "models")
FORBIDDEN = {
    "models": {"wardround", "flows", "tasks", "prefect", "mlflow", "dvc"},
    "federated": {"wardround", "flows", "tasks", "prefect", "mlflow", "dvc", "models"},
    "tasks": {"wardround", "flows", "dvc"},
    "flows": {"wardround", "mlflow", "dvc"},
    "wardround": {"mlflow", "dvc"},
}
# the only modules that touch MLflow: the client side (making the database, writing, reading
# runs back to compare them), and the code that travels with the model
MLFLOW = {
    "tasks/mlflow_database.py",
    "tasks/tracking.py",
    "tasks/tracked_runs.py",
    "tasks/registry.py",
    "tasks/logged_model.py",
    "tasks/logged_image_model.py",
    "tasks/shelf.py",
    "tasks/signature.py",
}
FILES = sorted(p.relative_to(ROOT) for name in PACKAGES for p in (ROOT / name).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of everything a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_run_one_way(path: Path) -> None:
    names = imported(path)
    assert not names & FORBIDDEN[path.parts[0]]
    assert "mlflow" not in names or path.as_posix() in MLFLOW
    assert not names & {"pickle", "cloudpickle", "dill", "joblib"}


def test_no_module_bears_the_name_of_a_dependency() -> None:
    # Prefect puts a flow file's folder first on sys.path
    taken = sys.stdlib_module_names | {"prefect", "mlflow", "dvc", "torch", "pandas", *PACKAGES}
    clashes = [p for p in FILES if p.parts[0] == "flows" and p.stem in taken]
    assert clashes == []
