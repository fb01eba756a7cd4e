"""Would the tests notice a wrong rule? Change each line of the mathematics in turn, and see.

    python benchmarks/mutation.py [--jobs 2] [--out FILE] [FILE ...]

A mutant is one file of `federated/` with one change: an operator, a comparison, a number, a sign,
a dropped call, a condition. It is compiled in memory (no file is written) in a forked child, which
imports it and runs the tests of that file. A failing test, an error or a time-out kills it.
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 120.0
T = "tests/federated"
OBJECTIVES = f"{T}/objectives"
CONTRACT = "tests/contracts/test_rules.py"

TESTS: dict[str, list[str]] = {
    "federated/local": [f"{T}/test_local_rules.py", f"{T}/test_oracle.py", CONTRACT],
    "federated/aggregation": [f"{T}/test_robust.py", f"{T}/test_nova_qfedavg.py", CONTRACT],
    "federated/aggregation/mean.py": [f"{T}/test_oracle.py", CONTRACT],
    "federated/aggregation/sum.py": [f"{T}/test_oracle.py", CONTRACT],
    "federated/preaggregation": [f"{T}/test_preaggregation.py", CONTRACT],
    "federated/server": [f"{T}/test_servers.py", f"{T}/test_algorithm.py", CONTRACT],
    "federated/selection": [f"{T}/test_selection.py", CONTRACT],
    "federated/schedule": [f"{T}/test_schedule.py", CONTRACT],
    "federated/compression": [f"{T}/test_compression.py", CONTRACT],
    "federated/personal": [f"{T}/test_personal.py", CONTRACT],
    "federated/objectives": [f"{OBJECTIVES}/test_rows.py", f"{OBJECTIVES}/test_kinds.py"],
    "federated/objectives/classification.py": [
        f"{OBJECTIVES}/test_classification.py",
        f"{T}/test_metrics.py",
        f"{T}/test_counts.py",
        f"{OBJECTIVES}/test_kinds.py",
    ],
    "federated/objectives/multilabel.py": [
        f"{OBJECTIVES}/test_multilabel.py",
        f"{OBJECTIVES}/test_kinds.py",
    ],
    "federated/objectives/regression.py": [
        f"{OBJECTIVES}/test_regression.py",
        f"{OBJECTIVES}/test_kinds.py",
    ],
    "federated/objectives/survival.py": [
        f"{OBJECTIVES}/test_survival.py",
        f"{OBJECTIVES}/test_kinds.py",
    ],
    "federated/weights.py": [f"{T}/test_weights.py"],
    "federated/coordinator.py": [f"{T}/test_algorithm.py"],
    "federated/federation.py": [f"{T}/test_federation.py", f"{T}/test_baselines.py"],
    "federated/checks.py": [f"{T}/test_checks.py", CONTRACT],
    "federated/stopping.py": [f"{T}/test_stopping.py"],
    "federated/split.py": [f"{T}/test_split.py"],
    "federated/statistics.py": [f"{T}/test_statistics.py"],
}
"""Folder or file → what is run on its mutants; the longest match counts."""

_A = "federated/aggregation"
_FLOAT = "Metrics makes a float of every value"
_TYPE = "only the type differs, not the number"
EQUIVALENT: dict[tuple[str, str], str] = {
    (f"{_A}/_scalars.py", "float(update.scalars[name]) → update.scalars[name]"): _TYPE,
    (
        f"{_A}/_stack.py",
        "np.square(rows - row).sum(axis=1) → np.square(rows - row).mean(axis=1)",
    ): "distances are only compared with each other, and all are divided by d",
    (f"{_A}/geometric_median.py", "float(norms(step[None])[0]) → norms(step[None])[0]"): _TYPE,
    (f"{_A}/geometric_median.py", "float(np.median(away)) → np.median(away)"): _TYPE,
    (f"{_A}/geometric_median.py", "1 → 2"): "the weights β are divided by their sum",
    (
        f"{_A}/geometric_median.py",
        "float(norms(step[None])[0]) <= self.tolerance * float(np.median(away)) → "
        "float(norms(step[None])[0]) < self.tolerance * float(np.median(away))",
    ): "they differ where both are 0, and then no further step moves the centre",
    (f"{_A}/mean.py", "1 → 2"): "every hospital counts twice: the same mean",
    (
        "federated/compression/qsgd.py",
        "scale.double().clamp_min(1e-300) → scale.double()",
    ): "of a tensor of zeros the sign is 0, and int8 makes 0 of NaN on the processors we know",
    ("federated/compression/topk.py", "True → False"): "torch's sort on the CPU is stable anyway",
    ("federated/local/_descent.py", "float(total) → total"): _TYPE,
    (
        "federated/local/_displacement.py",
        "0 → 1",
    ): "without the short cut the loop adds up the same number",
    ("federated/local/_displacement.py", "float(steps) → steps"): _TYPE,
    ("federated/local/gradient.py", "float(value.detach()) → value.detach()"): _TYPE,
    ("federated/objectives/regression.py", "float(UNIT) → UNIT"): _TYPE,
    ("federated/objectives/regression.py", "float(mse) → mse"): _FLOAT,
    (
        "federated/objectives/regression.py",
        "float(Fraction(self.absolute, n * UNIT)) → Fraction(self.absolute, n * UNIT)",
    ): _FLOAT,
    (
        "federated/objectives/regression.py",
        "float(1 - Fraction(n * self.e2, spread)) → 1 - Fraction(n * self.e2, spread)",
    ): _FLOAT,
    (
        "federated/objectives/regression.py",
        "float(Fraction(self.e, n * UNIT)) → Fraction(self.e, n * UNIT)",
    ): _FLOAT,
    ("federated/objectives/survival.py", "float(self.events) → self.events"): _FLOAT,
    (
        "federated/personal/layers.py",
        "False → True",
    ): "a module stands before its parts, so the last that has parameters has them itself",
    (
        "federated/personal/layers.py",
        "sorted(task.own) → task.own",
    ): "only the order of a mapping's keys differs",
    (
        "federated/preaggregation/norm_clipping.py",
        "float(np.median(lengths)) → np.median(lengths)",
    ): _TYPE,
    ("federated/server/_adaptive.py", "float(after['t']) → after['t']"): _TYPE,
    (f"{_A}/nova.py", "1 → 2"): "every hospital counts twice: the same mean",
    (
        f"{_A}/multi_krum.py",
        "np.sort(best[:self.m or len(all_.rows) - f]) → best[:self.m or len(all_.rows) - f]",
    ): "the same rows are averaged, in an order that depends on them alone",
}
"""(file, change) → why no test can tell: the mutant computes the same."""

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
_NAMES = {"min": "max", "minimum": "maximum", "clamp_min": "clamp_max", "floor": "ceil"}
_NAMES |= {v: k for k, v in _NAMES.items()} | {"argmin": "argmax", "mean": "sum", "sum": "mean"}
_DROPPED = {"abs", "sort", "sqrt", "square", "round", "sorted", "clamp_min", "clamp_max", "float"}


@dataclass(frozen=True)
class Mutant:
    """source: the whole changed file."""

    path: str
    line: int
    change: str
    source: str


@dataclass
class Score:
    """Of one file."""

    mutants: int = 0
    equal: int = 0
    survived: list[Mutant] = field(default_factory=list)

    @property
    def counted(self) -> int:
        return self.mutants - self.equal

    @property
    def killed(self) -> int:
        return self.counted - len(self.survived)


def places(tree: ast.Module) -> Iterator[ast.AST]:
    """What may be changed: inside functions, without docstrings, annotations and messages."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    nested = {m for f in functions for n in f.body for m in ast.walk(n) if m is not f}
    for function in functions:
        if function not in nested:
            for statement in function.body:
                yield from _within(statement)


def _within(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr):
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.keyword) and node.arg == "strict":  # zip's: a check, no mathematics
        return
    yield node
    skipped = {"annotation", "returns", "decorator_list", "args"}
    for name, value in ast.iter_fields(node):
        if name in skipped and isinstance(node, ast.AnnAssign | ast.FunctionDef):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _within(child)


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """The node, changed in each of its ways."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in _SWAPS:
        yield _with(node, op=_SWAPS[type(node.op)]())
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            if type(op) in _SWAPS:
                yield _with(node, ops=[*node.ops[:i], _SWAPS[type(op)](), *node.ops[i + 1 :]])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield copy.deepcopy(node.operand)
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield _with(node, value=not node.value)
        elif isinstance(node.value, int | float):
            yield _with(node, value=node.value + 1)
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield _with(node, test=ast.UnaryOp(ast.Not(), copy.deepcopy(node.test)))
    if isinstance(node, ast.Call):
        yield from _calls(node)


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    """Another function of that kind, or none."""
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name in _NAMES:
        key = "attr" if isinstance(called, ast.Attribute) else "id"
        yield _with(node, func=_with(called, **{key: _NAMES[name]}))
    if name in _DROPPED:
        method = isinstance(called, ast.Attribute) and not (
            isinstance(called.value, ast.Name) and called.value.id in {"np", "torch", "math"}
        )
        kept = called.value if method and isinstance(called, ast.Attribute) else node.args[0]
        yield copy.deepcopy(kept)


def _with(node: ast.AST, **changes: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in changes.items():
        setattr(new, name, value)
    return new


def mutants(path: str) -> list[Mutant]:
    """Every mutant of a file."""
    text = (ROOT / path).read_text()
    tree, found = ast.parse(text), []
    for node in list(places(tree)):
        for variant in variants(node):
            tests = isinstance(node, ast.If | ast.While)
            before, after = (ast.unparse(n.test if tests else n) for n in (node, variant))  # type: ignore[attr-defined]
            changed = ast.fix_missing_locations(_replaced(tree, node, variant))
            line = getattr(node, "lineno", 0)
            found.append(Mutant(path, line, f"{before} → {after}", ast.unparse(changed)))
    return found


def _replaced(tree: ast.AST, old: ast.AST, new: ast.AST) -> ast.AST:
    """A copy of the tree with `new` in the place of `old`; only the way there is copied."""
    if tree is old:
        return new
    changes: dict[str, object] = {}
    for name, value in ast.iter_fields(tree):
        if isinstance(value, ast.AST):
            inner = _replaced(value, old, new)
            if inner is not value:
                changes[name] = inner
        elif isinstance(value, list):
            parts = [_replaced(v, old, new) if isinstance(v, ast.AST) else v for v in value]
            if any(p is not v for p, v in zip(parts, value, strict=True)):
                changes[name] = parts
    return _with(tree, **changes) if changes else tree


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutant in place of its file."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        name = mutant.path.removesuffix(".py").replace("/", ".")
        self.name = name.removesuffix(".__init__")

    def find_spec(
        self, fullname: str, path: object, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        file = ROOT / self.mutant.path
        where = [str(file.parent)] if file.name == "__init__.py" else None
        spec = importlib.util.spec_from_file_location(
            fullname, file, loader=self, submodule_search_locations=where
        )
        return spec

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.mutant.source, self.mutant.path, "exec"), module.__dict__)


def tests_of(path: str) -> list[str]:
    """The test files that are run on mutants of `path`."""
    fitting = [key for key in TESTS if path == key or path.startswith(f"{key}/")]
    if not fitting:
        raise SystemExit(f"{path}: no tests are mapped to it; add them to TESTS")
    return TESTS[max(fitting, key=len)]


def warm() -> None:
    """Import what is slow and not ours, for every child. No gradient, which would start threads."""
    import hypothesis
    import numpy  # noqa: F401
    import pydantic.dataclasses  # noqa: F401
    import pytest  # noqa: F401
    import safetensors.torch  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import torch
    import yaml  # noqa: F401

    found_is_enough = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # none is made small
    hypothesis.settings.register_profile(
        "mutation", derandomize=True, database=None, phases=found_is_enough
    )
    hypothesis.settings.load_profile("mutation")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # no test here needs one; they cost a second
    parameter = torch.zeros(1, requires_grad=True)
    parameter.grad = torch.zeros(1)
    for optimiser in (torch.optim.SGD([parameter], lr=0.1), torch.optim.AdamW([parameter])):
        optimiser.step()


def start(tests: Sequence[str], mutant: Mutant | None) -> int:
    """Fork a child that runs the tests; its exit status is pytest's."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    status = 99
    try:
        import pytest

        if mutant is not None:
            sys.meta_path.insert(0, Changed(mutant))
        with Path(os.devnull).open("w") as null, redirect_stdout(null), redirect_stderr(null):
            options = ["-x", "-q", "-p", "no:cacheprovider", "--noconftest", "--capture=no"]
            status = int(pytest.main([*options, *tests]))
    finally:
        os._exit(status)


def run(work: list[tuple[Sequence[str], Mutant | None]], jobs: int) -> Iterator[tuple[int, int]]:
    """(index, exit status) of each as it ends; -1 after TIMEOUT seconds."""
    waiting = list(enumerate(work))[::-1]
    running: dict[int, tuple[int, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            index, (tests, mutant) = waiting.pop()
            running[start(tests, mutant)] = (index, time.monotonic())
        time.sleep(0.02)
        for child, (index, begun) in list(running.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            late = time.monotonic() - begun > TIMEOUT
            if not ended and late:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
            if ended or late:
                del running[child]
                yield index, os.waitstatus_to_exitcode(status) if ended else -1


def files(given: Sequence[str]) -> list[str]:
    """Files of the arguments, or of all of TESTS."""
    found: set[str] = set()
    for name in given or TESTS:
        path = (ROOT / name).resolve()
        found |= {
            str(p.relative_to(ROOT)) for p in ([path] if path.is_file() else path.rglob("*.py"))
        }
    return sorted(found)


def table(scores: dict[str, Score]) -> str:
    """Markdown."""
    lines = ["| file | mutants | killed | score |", "|---|--:|--:|--:|"]
    total = Score()
    for path, score in scores.items():
        total.mutants, total.equal = total.mutants + score.mutants, total.equal + score.equal
        total.survived += score.survived
        if score.counted:
            lines.append(_line(f"`{path}`", score))
    return "\n".join([*lines, _line("all", total)])


def _line(name: str, score: Score) -> str:
    part = 100 * score.killed / score.counted if score.counted else 100.0
    return f"| {name} | {score.counted} | {score.killed} | {part:.0f} % |"


def main() -> int:
    """Print each survivor as it is found, and the table; 1 if fewer than 90 % were killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    warm()
    scores: dict[str, Score] = {}
    work: list[tuple[Sequence[str], Mutant | None]] = []
    for path in files(given.files):
        score = scores[path] = Score()
        for mutant in mutants(path):
            score.mutants += 1
            if (path, mutant.change) in EQUIVALENT:
                score.equal += 1
            else:
                work.append((tests_of(path), mutant))
    whole = sorted({tuple(tests) for tests, _ in work})
    for index, status in run([(tests, None) for tests in whole], given.jobs):
        if status:
            raise SystemExit(f"the tests fail without a change: {', '.join(whole[index])}")
    begun = time.monotonic()
    for index, status in run(work, given.jobs):
        mutant = work[index][1]
        if status == -1 and mutant is not None:
            print(f"timed out {mutant.path}:{mutant.line}  {mutant.change}", flush=True)
        if status == 0 and mutant is not None:
            scores[mutant.path].survived.append(mutant)
            print(f"survived  {mutant.path}:{mutant.line}  {mutant.change}", flush=True)
    print(f"\n{len(work)} mutants in {time.monotonic() - begun:.0f} s\n\n{table(scores)}")
    if given.out:
        given.out.write_text(table(scores) + "\n")
    counted, killed = (sum(getattr(s, k) for s in scores.values()) for k in ("counted", "killed"))
    return int(killed < 0.9 * counted)


if __name__ == "__main__":
    sys.exit(main())
