"""Python imports this at its start where the folder is on its path: notes every use of pickle.

One line a use, in the file that PICKLE_LOG names: what was called, and from where. What libraries
do while they are imported is left out: nothing from elsewhere has come by then.
"""

import os
import pickle
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_DEPTH = 12
_PROJECT, _INSTALLED = str(Path(__file__).resolve().parents[3]), "site-packages"


def _note(what: str) -> None:
    frames = [f for f in reversed(traceback.extract_stack()) if f.filename != __file__]
    if _while_imported(frames):
        return
    _write(f"{what} {' < '.join(f'{f.filename}:{f.lineno}' for f in frames[:_DEPTH])}")


def _while_imported(frames: Sequence[traceback.FrameSummary]) -> bool:
    """Is a module's own level, or the import itself, nearer than a function of this project?"""
    for frame in frames:
        if frame.name == "<module>" or "importlib" in frame.filename:
            return True
        if frame.filename.startswith(_PROJECT) and _INSTALLED not in frame.filename:
            return False
    return False


def _write(line: str) -> None:
    with Path(os.environ["PICKLE_LOG"]).open("a") as log:
        log.write(f"{line}\n")


def _noted(module: Any, name: str) -> None:
    original: Callable[..., Any] = getattr(module, name)

    def call(*given: Any, **named: Any) -> Any:
        _note(f"{module.__name__}.{name}")
        return original(*given, **named)

    setattr(module, name, call)


def _noted_class(name: str) -> None:
    original: Any = getattr(pickle, name)

    class Noted(original):  # type: ignore[misc]
        """As it was, and each one that is made is noted."""

        def __init__(self, *given: Any, **named: Any) -> None:
            _note(f"pickle.{name}")
            super().__init__(*given, **named)

    setattr(pickle, name, Noted)


def _watch() -> None:
    for name in ("dump", "dumps", "load", "loads"):
        _noted(pickle, name)
    for name in ("Pickler", "Unpickler"):
        _noted_class(name)
    sys.addaudithook(lambda event, _: _note(event) if event == "pickle.find_class" else None)
    import torch

    for name in ("load", "save"):
        _noted(torch, name)
    _write(f"begun {' '.join(sys.orig_argv)}")


if "PICKLE_LOG" in os.environ:
    _watch()
