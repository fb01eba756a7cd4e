"""What identifies a run: configuration, data and version. The journal is found by it."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from federated.config import Config
from federated.weights import digest_json
from tasks.lasting import lasting

_NO_EFFECT_ON_WEIGHTS = {
    *("parallel", "name", "tracking_uri", "registered_model", "experiment"),
    *("log_every", "keep_weights", "hospital_runs", "device"),
}


def tracking_uri(configured: str | None, project: Path) -> str:
    """The configured MLflow server, or the project's own SQLite file."""
    return configured or f"sqlite:///{(lasting(project) / 'mlruns' / 'mlflow.db').resolve()}"


def config_digest(config: Config, computed: Mapping[str, Any]) -> str:
    """SHA-256 of every setting that can change a number. computed: what of engine and device does
    (of the engines `batched`, of the devices CUDA, of a deployment its quorum)."""
    values = config.model_dump(mode="json")
    run = {k: v for k, v in values["run"].items() if k not in _NO_EFFECT_ON_WEIGHTS}
    del values["federation"]  # `computed` has what of it counts
    return digest_json(values | {"run": run, "engine": dict(computed)})


def fingerprint(config: Config, data: Mapping[str, str], computed: Mapping[str, Any]) -> str:
    """SHA-256 of configuration, data (hospital → md5), version and where the run is tracked: in
    the project's own database, wherever the project lies, or at a server."""
    rounds_into = config.run.tracking_uri or "mlruns"
    own = [config_digest(config, computed), dict(data), version("wardround"), rounds_into]
    return digest_json([*own, config.experiment, config.run.name])


def flat(config: Config) -> dict[str, Any]:
    """Settings as dotted keys, as MLflow shows them; the composed rules with all their options."""
    values = config.model_dump(mode="json")
    rules = config.algorithm.rules
    values["algorithm"] = {"name": rules.name} | {
        kind: {"name": name} | vars(getattr(rules, kind)) for kind, name in rules.names.items()
    }
    return dotted(values)


def dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as one: `section.key` → value; an empty section is a value itself."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= dotted(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
