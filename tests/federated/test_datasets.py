"""Every reader gives checked shapes, and says clearly what is wrong with a file."""

import hashlib
import http.server
import io
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from federated import plugins
from federated.datasets import _medmnist_catalogue as catalogue
from federated.datasets.breast_cancer import BreastCancer
from federated.datasets.heart_disease import HeartDisease
from federated.datasets.medmnist import Medmnist
from federated.datasets.mnist import Mnist
from federated.datasets.synthetic import Synthetic
from federated.datasets.table import Table
from federated.errors import ConfigError, CorruptDataError, DataError
from federated.records import Images
from federated.schema import Labels, Survival, TableSchema, Value

PROJECT = Path(__file__).resolve().parents[2]
PNEUMONIA = PROJECT / "../shared/data/pneumonia/pneumoniamnist.npz"

CSV = """site,age,sex,smoker,grade,note,ill
north,50,0,yes,a,x,1
north,60,1,no,b,y,0
south,?,1,yes,c,z,1
south,old,0,no,a,w,2
"""


def written(folder: Path, text: str = CSV) -> Path:
    path = folder / "mine.csv"
    path.write_text(text)
    return path


def kinds(schema: TableSchema) -> dict[str, str]:
    return {c.name: c.kind for c in schema.columns}


def test_table_infers_kinds(tmp_path: Path) -> None:
    written(tmp_path)
    record = Table(path="mine.csv", target="ill", hospital="site", drop=("note",)).read(tmp_path)
    assert kinds(record.schema) == {
        "age": "numeric",
        "sex": "binary",
        "smoker": "binary",
        "grade": "categorical",
    }
    assert record.schema.classes == ("0", "1", "2")
    assert record.schema.columns[2].labels == ("no", "yes")
    assert list(record.schema.columns[3].codes) == [0, 1, 2]
    assert record.hospitals is not None
    assert record.hospitals.tolist() == ["north", "north", "south", "south"]
    assert record.frame.index.tolist() == [1, 2, 3, 4]


def test_table_takes_declared_kinds_and_a_schema(tmp_path: Path) -> None:
    written(tmp_path)
    options = {"path": "mine.csv", "target": "ill", "numeric": ["age"], "categorical": ["sex"]}
    declared = plugins.create("federated.datasets", "table", options, "data.source")
    record = declared.read(tmp_path)
    assert kinds(record.schema) == {"age": "numeric", "sex": "categorical"}
    (tmp_path / "schema.json").write_text(record.schema.model_dump_json())
    again = Table(path="mine.csv", target="ill", schema="schema.json")
    assert again.read(tmp_path).schema == record.schema
    assert again.files == ("mine.csv", "schema.json")


def test_table_reads_parquet_like_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"age": [1.5, None, 3.0], "flag": [True, False, True], "code": [1, 2, 1], "ill": [0, 1, 1]}
    )
    frame.to_parquet(tmp_path / "mine.parquet")
    record = Table(path="mine.parquet", target="ill", binary=("flag", "code"), numeric=("age",))
    schema = record.read(tmp_path).schema
    assert kinds(schema) == {"age": "numeric", "flag": "binary", "code": "binary"}
    assert [c.labels for c in schema.columns] == [(), ("False", "True"), ("1", "2")]
    assert schema.classes == ("0", "1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "absent.csv"}, r"absent\.csv: no such file"),
        ({"target": "il"}, r"no column 'il'; did you mean 'ill'\?"),
        ({"numeric": ("ages",)}, "no column 'ages'; did you mean 'age'"),
        ({"drop": ("ill",)}, "'ill' is named in two places"),
        ({"schema": "none.json"}, r"none\.json: no such file"),
    ],
)
def test_table_says_what_is_wrong(tmp_path: Path, options: dict[str, object], message: str) -> None:
    written(tmp_path)
    given = {"path": "mine.csv", "target": "ill", **options}
    with pytest.raises(DataError, match=message):
        Table(**given).read(tmp_path)  # type: ignore[arg-type]


def test_table_refuses_names_rows_without_hospital_and_other_formats(tmp_path: Path) -> None:
    many = "name,ill\n" + "".join(f"person{i % 30},{i // 3 % 2}\n" for i in range(40))
    written(tmp_path, many)
    with pytest.raises(DataError, match=r"'name' holds 30 different texts; data\.source\.max_cat"):
        Table(path="mine.csv", target="ill").read(tmp_path)
    written(tmp_path, "site,a,ill\nn,1,0\n,2,1\n")
    with pytest.raises(DataError, match=r"1 rows have no hospital in column 'site' \(row number 2"):
        Table(path="mine.csv", target="ill", hospital="site").read(tmp_path)
    written(tmp_path, "a,ill\n")
    with pytest.raises(DataError, match="holds no rows"):
        Table(path="mine.csv", target="ill").read(tmp_path)
    (tmp_path / "mine.xls").write_bytes(b"x")
    with pytest.raises(DataError, match=r"neither \.csv nor \.parquet"):
        Table(path="mine.xls", target="ill").read(tmp_path)
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"cut\.parquet: not readable as parquet"):
        Table(path="cut.parquet", target="ill").read(tmp_path)


def test_heart_disease_names_a_missing_file_and_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.csv: no such file"):
        HeartDisease(path="no.csv").read(tmp_path)
    written(tmp_path, "hospital,age\nva,1\n")
    with pytest.raises(DataError, match="no column 'num'"):
        HeartDisease(path="mine.csv").read(tmp_path)


def test_heart_disease_leaves_an_unknown_diagnosis_to_be_quarantined(tmp_path: Path) -> None:
    written(tmp_path, "hospital,num\nva,0\nva,4\nva,5\nva,\nva,x\n")
    cells = HeartDisease(path="mine.csv").read(tmp_path).frame["num"]
    assert cells.tolist()[:3] == ["no disease", "disease", "5"]
    assert cells.isna().tolist() == [False, False, False, True, False]


def test_breast_cancer_and_mnist() -> None:
    table = BreastCancer().read(PROJECT)
    assert table.frame.shape == (569, 31)
    assert (table.frame["diagnosis"] == "malignant").sum() == 212
    images = Mnist().read(PROJECT)
    assert images.pixels.shape == (5000, 1, 28, 28)
    assert images.pixels.dtype == np.uint8
    assert np.bincount(images.labels).tolist() == [500] * 10
    assert images.pixels.max() == 255


def test_synthetic_is_deterministic_and_shifts_as_asked() -> None:
    plain = Synthetic(hospitals=12, rows=500, features=3).read(PROJECT)
    again = Synthetic(hospitals=12, rows=500, features=3).read(PROJECT)
    pd.testing.assert_frame_equal(plain.frame, again.frame)
    assert plain.hospitals is not None
    assert plain.hospitals.iloc[0] == "hospital-01"
    assert plain.hospitals.value_counts().unique().tolist() == [500]
    skew = Synthetic(
        hospitals=12, rows=500, features=3, label_shift=2.0, feature_shift=2.0, size_skew=1.0
    )
    shifted = skew.read(PROJECT)
    assert shifted.hospitals is not None
    assert shifted.hospitals.value_counts().min() >= 20
    means = plain.frame["x1"].groupby(plain.hospitals).mean()
    shifted_means = shifted.frame["x1"].groupby(shifted.hospitals).mean()
    assert means.std() < 0.1 < 1 < shifted_means.std()


def test_synthetic_is_quick_at_scale() -> None:
    record = Synthetic(hospitals=10_000, rows=60).read(PROJECT)
    assert len(record.frame) == 600_000


def pictures(**options: Any) -> Images:
    found = Synthetic(rows=200, shape=(1, 28, 28), **options).read(PROJECT)
    assert isinstance(found, Images)
    return found


def test_synthetic_images_can_be_told_apart_but_for_one_in_ten() -> None:
    found, again = pictures(hospitals=12), pictures(hospitals=12)
    np.testing.assert_array_equal(found.pixels, again.pixels)
    assert found.pixels.shape == (2400, 1, 28, 28)
    assert found.hospitals is not None
    assert Counter(found.hospitals.tolist())["hospital-07"] == 200
    assert np.bincount(found.labels).min() > 180  # 240 ± 15 of each class
    flat = found.pixels.reshape(2400, -1) / 255
    templates = np.stack([flat[:1800][found.labels[:1800] == k].mean(axis=0) for k in range(10)])
    apart = ((flat[1800:, None] - templates) ** 2).sum(axis=2).argmin(axis=1)
    right = (apart == found.labels[1800:]).mean()
    assert right == pytest.approx(0.91, abs=0.04)  # 600 images: σ = 0.012


def test_synthetic_images_shift_classes_and_brightness() -> None:
    plain = pictures(hospitals=20)
    skewed = pictures(hospitals=20, label_shift=3.0, feature_shift=1.0)

    def spread(found: Images) -> float:  # of the hospitals' mean pixels
        return float(found.pixels.reshape(20, -1).mean(axis=1).std())

    def largest(found: Images) -> float:  # the mean share of a hospital's commonest class
        return float(np.mean([np.bincount(own).max() for own in found.labels.reshape(20, 200)]))

    assert spread(plain) < 3 < 10 < spread(skewed)
    assert largest(plain) < 40 < 90 < largest(skewed)


def test_synthetic_images_of_any_shape_and_only_with_classes() -> None:
    found = Synthetic(hospitals=2, rows=30, shape=(3, 10, 7), classes=3).read(PROJECT)
    assert isinstance(found, Images)
    assert found.pixels.shape == (60, 3, 10, 7)
    assert found.schema.classes == ("class 0", "class 1", "class 2")
    with pytest.raises(ConfigError, match=r"data\.source\.question 'value': made-up images"):
        Synthetic(shape=(1, 8, 8), question="value")


def archive(name: str, rows: int = 4, channels: int = 1) -> bytes:
    """A made-up MedMNIST archive."""
    generator = np.random.default_rng(0)
    shape = (rows, 28, 28) if channels == 1 else (rows, 28, 28, channels)
    arrays = {}
    for part in ("train", "val", "test"):
        arrays[f"{part}_images"] = generator.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{part}_labels"] = generator.integers(0, 2, (rows, 1), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without printing."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the loopback URL under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


def publish(monkeypatch: pytest.MonkeyPatch, name: str, data: bytes) -> None:
    """Make `data` the published archive of `name`."""
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    changed = catalogue.CATALOGUE[name]._replace(md5=md5)
    monkeypatch.setitem(catalogue.CATALOGUE, name, changed)


def test_medmnist_downloads_once_and_checks(
    tmp_path: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = server
    data = archive("pathmnist", channels=3)
    publish(monkeypatch, "pathmnist", data)
    (folder / "pathmnist.npz").write_bytes(data)
    reader = Medmnist(name="pathmnist", url=url)
    record = reader.read(tmp_path)
    assert record.pixels.shape == (12, 3, 28, 28)
    assert record.labels.shape == (12,)
    (folder / "pathmnist.npz").unlink()
    np.testing.assert_array_equal(reader.read(tmp_path).pixels, record.pixels)
    stored = tmp_path / record.source
    assert [p.name for p in stored.parent.iterdir()] == ["pathmnist.npz"]
    stored.write_bytes(data[:-5])
    with pytest.raises(CorruptDataError, match="delete it to download it again"):
        reader.read(tmp_path)


def test_medmnist_refuses_a_damaged_or_absent_download(
    tmp_path: Path, server: tuple[Path, str]
) -> None:
    folder, url = server
    (folder / "breastmnist.npz").write_bytes(archive("breastmnist"))
    with pytest.raises(CorruptDataError, match="published is 750601b1f35ba3300ea97c75c52ff8f6"):
        Medmnist(name="breastmnist", url=url).read(tmp_path)
    assert list((tmp_path / "data/raw/medmnist").iterdir()) == []
    with pytest.raises(DataError, match=r"octmnist\.npz: download to .* failed"):
        Medmnist(name="octmnist", url=url).read(tmp_path)


def test_medmnist_names() -> None:
    with pytest.raises(ConfigError, match="did you mean 'pneumoniamnist'"):
        Medmnist(name="pneumonia_mnist")
    assert len(catalogue.CATALOGUE) == 12


def test_medmnist_with_several_labels_an_image(tmp_path: Path) -> None:
    arrays = {
        f"{part}_images": np.zeros((2, 28, 28), np.uint8) for part in ("train", "val", "test")
    }
    found = np.random.default_rng(0).integers(0, 2, (2, 14), dtype=np.uint8)
    labels = {f"{part}_labels": found for part in ("train", "val", "test")}
    np.savez(tmp_path / "chest.npz", **arrays, **labels)  # type: ignore[arg-type]
    record = Medmnist(name="chestmnist", path="chest.npz").read(tmp_path)
    assert isinstance(record.schema.question, Labels)
    assert record.schema.question.names[-1] == "hernia"
    assert record.labels.tolist() == np.tile(found, (3, 1)).tolist()
    with pytest.raises(DataError, match="expected one label in 0 to 1"):
        Medmnist(name="pneumoniamnist", path="chest.npz").read(tmp_path)


TARGETS = """site,age,days,a,b,months,died
north,50,3.5,0,1,12,1
north,60,4,1,1,7.5,0
south,70,9,0,0,30,1
"""


def test_table_of_other_questions(tmp_path: Path) -> None:
    path = written(tmp_path, TARGETS).name
    rest = {"path": path, "hospital": "site"}
    value = Table(**rest, target="days", target_kind="value", drop=("a", "b", "months", "died"))
    schema = value.read(tmp_path).schema
    assert (schema.target, schema.question, schema.classes) == ("days", Value(), ())
    assert [c.name for c in schema.columns] == ["age"]
    labels = Table(**rest, labels=("a", "b"), drop=("days", "months", "died"))
    assert labels.read(tmp_path).schema.question == Labels(names=("a", "b"))
    survival = Table(**rest, time="months", event="died", drop=("days", "a", "b"))
    found = survival.read(tmp_path)
    assert found.schema.question == Survival(time="months", event="died")
    assert [c.name for c in found.schema.columns] == ["age"]
    (tmp_path / "schema.json").write_text(found.schema.model_dump_json())
    again = Table(
        **rest, time="months", event="died", drop=("days", "a", "b"), schema="schema.json"
    )
    assert again.read(tmp_path).schema == found.schema
    wrong = Table(**rest, target="died", drop=("days", "a", "b"), schema="schema.json")
    with pytest.raises(DataError, match="not the schema of a table with target 'died'"):
        wrong.read(tmp_path)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"target": "days", "labels": ("a", "b")},
        {"time": "months"},
        {"event": "died"},
        {"labels": ("a",)},
        {"target": "days", "event": "died"},
    ],
)
def test_table_asks_one_question(given: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"data\.source"):
        Table(path="mine.csv", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("question", ["value", "labels", "survival"])
def test_synthetic_questions_share_the_patients(question: Literal["value"]) -> None:
    plain = Synthetic(hospitals=2, rows=50, features=3).read(PROJECT)
    other = Synthetic(hospitals=2, rows=50, features=3, question=question).read(PROJECT)
    shared = ["x1", "x2", "x3"]
    pd.testing.assert_frame_equal(plain.frame[shared], other.frame[shared])
    asked = other.frame[[c.name for c in other.schema.targets]]
    assert list(other.frame.columns) == [*shared, *asked.columns]
    assert asked.nunique().min() >= 2
    assert (asked.nunique().max() > 90) == (question != "labels")


def test_medmnist_local_archive_faults(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        Medmnist(path="none.npz").read(tmp_path)
    data = archive("pneumoniamnist")
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"cut\.npz: not a whole MedMNIST"):
        Medmnist(path="cut.npz").read(tmp_path)
    (tmp_path / "rgb.npz").write_bytes(archive("pathmnist", channels=3))
    with pytest.raises(DataError, match="expected uint8"):
        Medmnist(path="rgb.npz").read(tmp_path)


def test_pneumonia_mnist() -> None:
    if not PNEUMONIA.is_file():
        pytest.skip(f"{PNEUMONIA} is absent")
    record = Medmnist(path=str(PNEUMONIA)).read(PROJECT)
    assert record.pixels.shape == (5856, 1, 28, 28)
    assert record.schema.classes == ("normal", "pneumonia")
    assert np.bincount(record.labels).tolist() == [1583, 4273]
    assert record.split is None
    apart = Medmnist(path=str(PNEUMONIA), official_split=True).read(PROJECT)
    assert apart.split is not None
    assert np.bincount(apart.split).tolist() == [4708, 624, 524]  # training, test, validation
    assert np.bincount(apart.labels[apart.split == 1]).tolist() == [234, 390]
