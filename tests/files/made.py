"""Random hospital files with a known truth: what an export may do to a table, habit by habit.

`draw` chooses the habits from a seed, `Truth` is the table as the hospitals meant it, `write` puts
it on disk as their software would. Nothing here reads the product's code.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ENCODINGS = ("utf-8", "utf-8-sig", "cp1252", "utf-16")
DELIMITERS = (",", ";", "\t", "|")
OUTCOMES = {
    "words": ("alive", "died"),
    "yes": ("no", "yes"),
    "zero": ("0", "1"),
    "floats": ("0.0", "1.0"),
    "mixed": ("0", "1"),  # written 0.0 and 1.0 at the last hospital
    "logical": ("FALSE", "TRUE"),
    "capitals": ("No", "Yes"),
    "twos": ("1", "2"),
    "colours": ("blue", "red"),
}
CLEAR = ("words", "yes", "zero", "floats", "mixed", "logical", "capitals")
"""Codings of an outcome that leave no doubt which is the event."""
MARKS = (".", "-9", "NA", "unknown", "<5", "?", "-", "999", "missing", "n/a")
OBVIOUS = (".", "NA", "unknown", "<5", "?", "-", "missing", "n/a")
"""Marks that are no numbers."""
HOSPITALS = {
    "plain": ("north", "south", "west"),
    "umlaut": ("Köln", "Zürich", "Genève"),
    "numbers": ("1", "2", "3"),
    "numeric-looking": ("0e0", "1e5", "007"),
    "yaml": ("NO", "1_0", "true"),
}
CODES = ("042", "0042", "414", "V27", "E11.9")
FAULTS = (
    *("none", "trailing", "short", "long", "twice", "unknown-outcome", "blank-outcome"),
    *("endless", "no-hospital", "few"),
)
FORMATS = ("csv", "parquet")


@dataclass(frozen=True)
class Habits:
    """How a file is written. decimal: the character before the fraction. mark: what stands for a
    missing cell, blank for nothing; declared: whether the settings name it. kinds: whether they
    name the kinds of columns. repeated: some rows stand twice."""

    seed: int
    rows: int
    encoding: str
    delimiter: str
    decimal: str
    padded: bool
    mark: str
    declared: bool
    outcome: str
    hospitals: str
    row_numbers: bool
    patient_ids: bool
    leak: bool
    fault: str
    kinds: bool
    format: str
    ending: str
    quoted: bool
    dates: bool
    repeated: bool

    @property
    def plain(self) -> bool:
        """Must such a file be taken as it is, without a word from the user?"""
        ambiguous = self.mark in ("-9", "999") and not self.declared
        return (
            self.fault in ("none", "blank-outcome", "endless")
            and self.outcome in CLEAR
            and not ambiguous
        )


@dataclass(frozen=True)
class Truth:
    """hospital: names by row; event: bool by row, and whether it is known. age: whole numbers; lab:
    two decimals, NaN where unknown; sex: m or f; code: a diagnosis."""

    hospital: list[str]
    event: np.ndarray
    known: np.ndarray
    age: np.ndarray
    lab: np.ndarray
    sex: np.ndarray
    code: np.ndarray


def draw(seed: int) -> Habits:
    """Habits of the file with this number; half of them are off in most files."""
    random = np.random.default_rng([seed, 1])

    def some(values: tuple[str, ...], usual: str, chance: float = 0.5) -> str:
        return str(random.choice(values)) if random.random() < chance else usual

    form = some(FORMATS, "csv", 0.3)
    delimiter = some(DELIMITERS, ",")
    return Habits(
        seed=seed,
        rows=int(random.integers(40, 90)),
        encoding=some(ENCODINGS, "utf-8"),
        delimiter=delimiter,
        decimal="," if delimiter != "," and form == "csv" and random.random() < 0.4 else ".",
        padded=bool(random.random() < 0.3),
        mark=some(MARKS, ""),
        declared=bool(random.random() < 0.5),
        outcome=some(tuple(OUTCOMES), "yes", 0.7),
        hospitals=some(tuple(HOSPITALS), "plain"),
        row_numbers=bool(random.random() < 0.2),
        patient_ids=bool(random.random() < 0.2),
        leak=bool(random.random() < 0.15),
        fault=some(FAULTS, "none", 0.35),
        kinds=bool(random.random() < 0.6),
        format=form,
        ending=some(("\n", "\r\n"), "\n"),
        quoted=bool(random.random() < 0.2),
        dates=bool(random.random() < 0.2),
        repeated=bool(random.random() < 0.15),
    )


def truth(habits: Habits) -> Truth:
    """The table behind the file. Every hospital has both outcomes and every level."""
    random = np.random.default_rng([habits.seed, 2])
    names = HOSPITALS[habits.hospitals]
    n = habits.rows * len(names)
    lab = np.round(random.normal(40, 6, n), 2)
    lab[random.random(n) < 0.15] = np.nan
    known = np.ones(n, dtype=bool)
    if habits.fault == "blank-outcome":
        known[random.choice(n, size=3, replace=False)] = False
    outcome = np.tile(np.arange(habits.rows) % 3 == 0, len(names))
    rows = np.arange(n)
    if habits.repeated:  # each hospital's third row is its second one again
        rows[2 :: habits.rows] = rows[1 :: habits.rows]
    return Truth(
        hospital=[name for name in names for _ in range(habits.rows)],
        event=outcome[rows],
        known=known[rows],
        age=random.integers(18, 95, n)[rows],
        lab=lab[rows],
        sex=random.choice(["f", "m"], n)[rows],
        code=np.tile(np.array(CODES)[np.arange(habits.rows) % len(CODES)], len(names))[rows],
    )


def cells(habits: Habits, true: Truth) -> pd.DataFrame:
    """The cells as the file has them, before padding."""
    no, yes = (text.replace(".", habits.decimal) for text in OUTCOMES[habits.outcome])
    outcome = np.where(true.event, yes, no).astype(object)
    if habits.outcome == "mixed":
        last = np.array(true.hospital) == true.hospital[-1]
        half = f"{habits.decimal}0"
        outcome[last] = np.where(true.event[last], f"1{half}", f"0{half}")
    outcome[~true.known] = ""
    if habits.fault == "unknown-outcome":
        outcome[:: len(outcome) // 20] = "77" if no in "01" else "lost"
    lab = [
        habits.mark if np.isnan(v) else f"{v:.2f}".replace(".", habits.decimal) for v in true.lab
    ]
    columns = {
        "site": true.hospital,
        "age": [str(v) for v in true.age],
        "lab": lab,
        "sex": true.sex,
        "code": true.code,
        "outcome": outcome,
    }
    n = len(true.hospital)
    if habits.fault == "endless":
        columns["age"][n // 2] = "1e999"
    elif habits.fault == "no-hospital":
        columns["site"] = ["" if i == n // 2 else name for i, name in enumerate(true.hospital)]
    if habits.dates:
        columns["admitted"] = [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(n)]
    if habits.patient_ids:
        columns["mrn"] = [f"P{number:06d}" for number in range(n)]
    if habits.leak:
        columns["discharge"] = np.where(true.event, "gone", "home")
    if habits.row_numbers:
        columns = {"": [str(number) for number in range(1, n + 1)]} | columns
    return pd.DataFrame(columns, dtype=object)


def write(habits: Habits, true: Truth, path: Path) -> None:
    """The file."""
    frame = cells(habits, true)
    if habits.fault == "few":
        frame = frame.iloc[: habits.rows + 3]
    if habits.format == "parquet":
        frame.rename(columns={"": "Unnamed: 0"}).to_parquet(path.with_suffix(".parquet"))
        return
    pad = "  " if habits.padded else ""
    lines = [[*frame.columns], *frame.to_numpy().tolist()]
    if habits.padded:
        lines = [[f"{pad}{cell} " for cell in line] for line in lines]
    if habits.quoted:
        lines = [[f'"{cell}"' for cell in line] for line in lines]
    texts = [habits.delimiter.join(line) for line in lines]
    at = len(texts) // 2
    if habits.fault == "trailing":
        texts = [texts[0], *(text + habits.delimiter for text in texts[1:])]
    elif habits.fault == "short":
        texts[at] = habits.delimiter.join(lines[at][:-1])
    elif habits.fault == "long":
        texts[at] += f"{habits.delimiter}1"
    elif habits.fault == "twice":
        texts[0] += f"{habits.delimiter}age"
        texts[1:] = [f"{text}{habits.delimiter}50" for text in texts[1:]]
    path.write_bytes((habits.ending.join(texts) + habits.ending).encode(habits.encoding))
