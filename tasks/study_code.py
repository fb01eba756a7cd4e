"""The code that a run's numbers come from, as one digest: a rule that changed is run again.

Counted are the shared modules of `federated/` and the plug-ins that the run names, with what they
import. A new plug-in file, or a change of one that a run does not use, leaves the digest as it is.
"""

import ast
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from federated import plugins
from federated.catalogue import PACKAGES
from federated.config import Config
from federated.weights import digest, digest_json

_NO_NUMBERS = {"catalogue", "contrast", "significance", "study"}  # they read, they compute no run


def code_digest(config: Config) -> str:
    """SHA-256 over name and content of every module behind the run's numbers."""
    return digest_json(_digests([*_shared(), *plug_ins(config)]))


def used(config: Config) -> dict[str, str]:
    """The plug-ins that the run names, with what they import: module → SHA-256 of its file."""
    return _digests(plug_ins(config))


def _digests(modules: Iterable[str]) -> dict[str, str]:
    """Of these modules and of all that they import of ours."""
    pending, found = list(modules), dict[str, str]()
    while pending:
        name = pending.pop()
        if name not in found:
            found[name], imported = _module(name)
            pending += imported
    return found


def _shared() -> list[str]:
    names = plugins.names("federated")
    return [f"federated.{n}" for n in names if n not in _NO_NUMBERS and n not in PACKAGES]


def plug_ins(config: Config) -> list[str]:
    """Modules of the plug-ins that the configuration names."""
    made = [
        config.data.reader,
        config.data.partitioner,
        config.architecture,
        *(getattr(config.algorithm.rules, kind) for kind in config.algorithm.rules.names),
    ]
    return [type(one).__module__ for one in made]


@cache
def _module(name: str) -> tuple[str, tuple[str, ...]]:
    """Digest of a module's source, and the modules of `federated/` and `models/` it imports."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        return "", ()
    content = Path(spec.origin).read_bytes()
    return digest(content), tuple(_imported(ast.walk(ast.parse(content))))


def _imported(nodes: Iterable[ast.AST]) -> Iterable[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and _ours(node.module):
            yield node.module
            below = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in below if _is_module(name))


def _ours(name: str) -> bool:
    return name.partition(".")[0] in ("federated", "models") and name not in _SELF


_SELF = {f"federated.{name}" for name in _NO_NUMBERS}


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is no package: a class or function of a module
        return False
