"""Raw files to hospitals' folders and back, on made-up rows and on the project's own table."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml

from federated.config import DataConfig
from federated.errors import CorruptDataError, DataError
from federated.preprocessing import to_data
from federated.split import TEST, TRAIN, VALIDATION
from tasks.preparation import load_hospital, partition, prepare

PROJECT = Path(__file__).resolve().parents[2]
NATURAL = {"name": "natural"}


def config(**values: Any) -> DataConfig:
    """The project's own data section with some keys replaced."""
    section = yaml.safe_load((PROJECT / "params.yaml").read_text())["data"]
    return DataConfig.model_validate({**section, "partition": NATURAL, **values})


def changed(data: DataConfig, **values: Any) -> DataConfig:
    """A copy with other values (a plain model_copy would keep cached plug-ins)."""
    return DataConfig.model_validate({**data.model_dump(), **values})


def mine(
    folder: Path, *, rows: int = 12, sites: tuple[str, ...] = ("north", "south")
) -> DataConfig:
    """A made-up table with `rows` rows a site, and its data section."""
    generator = np.random.default_rng(0)
    total = rows * len(sites)
    frame = pd.DataFrame(
        {
            "site": np.repeat(sites, rows),
            "age": generator.integers(20, 90, total).astype("str"),
            "dose": generator.standard_normal(total).astype("str"),
            "ill": np.tile(["no", "yes"], total // 2),
        }
    )
    frame.to_csv(folder / "mine.csv", index=False)
    source = {"path": "mine.csv", "target": "ill", "hospital": "site"}
    return config(dataset="table", source=source, hospitals=[], min_rows=5)


def change(folder: Path, row: int, column: str, cell: str) -> None:
    """Overwrite one cell of the made-up table; row numbers start at 1."""
    frame = pd.read_csv(folder / "mine.csv", dtype=str)
    frame.loc[row - 1, column] = cell
    frame.to_csv(folder / "mine.csv", index=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_heart_disease_from_end_to_end(tmp_path: Path) -> None:
    data = config()
    found = prepare(data, PROJECT, tmp_path / "prepared")
    assert {c.hospital: (c.rows, c.kept) for c in found} == {
        "cleveland": (303, 303),
        "hungary": (294, 294),
        "switzerland": (123, 123),
        "va": (200, 200),
    }
    assert "chol" in found[2].constant
    names = partition(data, tmp_path / "prepared", tmp_path / "hospitals")
    loaded = [load_hospital(tmp_path / "hospitals" / name) for name in names]
    assert [raw.features.shape for raw in loaded] == [(303, 13), (294, 13), (123, 13), (200, 13)]
    assert [int(raw.test.sum()) for raw in loaded] == [103, 100, 42, 68]
    for scaling in ("hospital", "federated", "off"):
        _, encoded = to_data(loaded, config(scaling=scaling))
        assert all(bool(torch.isfinite(one.train.features).all()) for one in encoded)
    _, encoded = to_data(loaded, config(scaling="hospital"))
    assert encoded[2].train.features[:, 2].abs().max() == 0  # age, trestbps, chol


def test_validation_rows_come_from_the_training_rows(tmp_path: Path) -> None:
    data = mine(tmp_path)
    prepare(data, tmp_path, tmp_path / "p")
    found = {}
    for fraction in (0.0, 0.25):
        partition(changed(data, validation_fraction=fraction), tmp_path / "p", tmp_path / "h")
        found[fraction] = load_hospital(tmp_path / "h" / "south")
    plain, held = found.values()
    assert torch.equal(plain.test, held.test)
    assert [int(m.sum()) for m in (plain.train, plain.test, plain.validation)] == [8, 4, 0]
    assert [int(m.sum()) for m in (held.train, held.test, held.validation)] == [5, 4, 3]
    _, [encoded] = to_data([held], config(scaling="hospital"))
    assert [len(part) for part in (encoded.train, encoded.test, encoded.validation)] == [5, 4, 3]
    assert encoded.train.features[:, 0].mean() == pytest.approx(0, abs=1e-6)
    _, [encoded] = to_data([plain], config())
    assert encoded.validation.features.shape == (0, encoded.train.features.shape[1])


def test_running_again_gives_the_same_bytes(tmp_path: Path) -> None:
    data = mine(tmp_path)
    runs = []
    for name in ("one", "two", "two"):
        prepare(data, tmp_path, tmp_path / name / "prepared")
        partition(data, tmp_path / name / "prepared", tmp_path / name / "hospitals")
        runs.append(contents(tmp_path / name))
    assert runs[0] == runs[1] == runs[2]
    made = {("hospitals", "records.safetensors"), ("hospitals", "schema.json")}
    made |= {("prepared", "records.csv"), ("prepared", "quarantine.csv")}
    made |= {(stage, "coverage.json") for stage in ("hospitals", "prepared")}
    made.add(("hospitals", "made_from.json"))
    expected = {f"{stage}/{site}/{f}" for stage, f in made for site in ("north", "south")}
    assert set(runs[0]) == {*expected, "prepared/schema.json", "prepared/made_from.json"}
    assert not any(str(tmp_path).encode() in content for content in runs[0].values())


def test_a_changed_hospital_changes_its_own_bytes_alone(tmp_path: Path) -> None:
    data = mine(tmp_path)
    prepare(data, tmp_path, tmp_path / "p")
    partition(data, tmp_path / "p", tmp_path / "h")
    before = contents(tmp_path / "p") | contents(tmp_path / "h")
    change(tmp_path, 13, "age", "33")
    prepare(data, tmp_path, tmp_path / "p")
    assert partition(data, tmp_path / "p", tmp_path / "h", "south") == ["south"]
    after = contents(tmp_path / "p") | contents(tmp_path / "h")
    assert {name for name in after if after[name] != before[name]} == {
        "made_from.json",
        "south/made_from.json",
        "south/records.csv",
        "south/records.safetensors",
    }


def test_one_hospital_is_cut_from_its_own_folder_alone(tmp_path: Path) -> None:
    data = mine(tmp_path)
    prepare(data, tmp_path, tmp_path / "p")
    (tmp_path / "p/north/records.csv").unlink()
    assert partition(data, tmp_path / "p", tmp_path / "h", "south") == ["south"]
    with pytest.raises(DataError, match=r"'north': .*records\.csv: no such file"):
        partition(data, tmp_path / "p", tmp_path / "h")


@pytest.mark.parametrize("bad", ["missing", "quarantine"])
def test_a_non_numeric_cell_costs_its_cell_or_its_row(tmp_path: Path, bad: str) -> None:
    data = mine(tmp_path)
    data = changed(data, source={**data.source, "bad_cells": bad})
    change(tmp_path, 14, "age", "ninety")
    prepare(data, tmp_path, tmp_path / "p")
    lost, rule = bad == "quarantine", "age: not a number"
    listed = f"row,reason\n14,{rule}{'' if lost else ' (read as missing)'}\n"
    assert (tmp_path / "p/south/quarantine.csv").read_text() == listed
    partition(data, tmp_path / "p", tmp_path / "h")
    raw = load_hospital(tmp_path / "h/south")
    assert len(raw.targets) == raw.coverage.kept == 12 - lost
    assert raw.coverage.quarantined == ({rule: 1} if lost else {})
    assert raw.coverage.bad_cells == ({} if lost else {rule: 1})
    assert int(raw.features.isnan().sum()) == 1 - lost
    assert not any(b"ninety" in data for data in contents(tmp_path / "p").values())


def test_too_few_rows_names_the_hospital_and_writes_nothing(tmp_path: Path) -> None:
    data = changed(mine(tmp_path), min_rows=12)
    change(tmp_path, 14, "ill", "")
    with pytest.raises(DataError, match=r"'south': 11 of 12 rows .*ill: missing \(1\)"):
        prepare(data, tmp_path, tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_listed_hospitals_must_be_those_found(tmp_path: Path) -> None:
    data = mine(tmp_path)
    lacking = changed(data, hospitals=("north", "south", "west"))
    with pytest.raises(DataError, match="data hold no hospital 'west'"):
        prepare(lacking, tmp_path, tmp_path / "p")
    unknown = changed(data, hospitals=("north",))
    with pytest.raises(DataError, match="unknown hospital 'south'"):
        prepare(unknown, tmp_path, tmp_path / "p")
    other = changed(unknown, partition={"name": "iid"})
    assert len(prepare(other, tmp_path, tmp_path / "p")) == 2


def test_asking_for_a_hospital_that_is_not_made(tmp_path: Path) -> None:
    data = mine(tmp_path)
    prepare(data, tmp_path, tmp_path / "p")
    with pytest.raises(DataError, match="'norht'; did you mean 'north'"):
        partition(data, tmp_path / "p", tmp_path / "h", "norht")
    iid = changed(data, partition={"name": "iid", "hospitals": 2})
    with pytest.raises(DataError, match="valid: hospital-1, hospital-2"):
        partition(iid, tmp_path / "p", tmp_path / "h", "north")
    assert partition(iid, tmp_path / "p", tmp_path / "h", "hospital-2") == ["hospital-2"]


def test_other_partitions_pool_and_clear_what_was_there(tmp_path: Path) -> None:
    data = mine(tmp_path)
    prepare(data, tmp_path, tmp_path / "p")
    partition(data, tmp_path / "p", tmp_path / "h")
    (tmp_path / "h/kept").mkdir()
    iid = changed(data, partition={"name": "iid", "hospitals": 3})
    names = partition(iid, tmp_path / "p", tmp_path / "h")
    assert names == ["hospital-1", "hospital-2", "hospital-3"]
    assert sorted(p.name for p in (tmp_path / "h").iterdir()) == [*names, "kept"]
    assert sum(len(load_hospital(tmp_path / "h" / name).targets) for name in names) == 24


def test_data_without_hospitals_go_to_one_folder(tmp_path: Path) -> None:
    data = mine(tmp_path)
    source = {"path": "mine.csv", "target": "ill", "drop": ["site"]}
    plain = config(dataset="table", source=source, partition={"name": "iid"}, min_rows=5)
    assert [c.hospital for c in prepare(plain, tmp_path, tmp_path / "p")] == ["all"]
    assert len(partition(plain, tmp_path / "p", tmp_path / "h")) == 3
    natural = changed(plain, partition=NATURAL)
    with pytest.raises(DataError, match=r"give data\.source\.hospital"):
        prepare(natural, tmp_path, tmp_path / "q")
    with pytest.raises(DataError, match=r"give data\.source\.hospital"):
        partition(natural, tmp_path / "p", tmp_path / "h")
    prepare(data, tmp_path, tmp_path / "p")
    assert not (tmp_path / "p/all").exists()


def test_names_become_folders_or_are_refused(tmp_path: Path) -> None:
    data = mine(tmp_path, sites=("VA Long Beach", "St. Anna/2"))
    found = prepare(data, tmp_path, tmp_path / "p")
    assert [c.hospital for c in found] == ["St.-Anna-2", "VA-Long-Beach"]
    with pytest.raises(DataError, match="'a b' and 'a/b' would share one folder"):
        prepare(mine(tmp_path, sites=("a/b", "a b")), tmp_path, tmp_path / "p")
    for name in ("..", "all"):
        with pytest.raises(DataError, match="cannot be a folder's name"):
            prepare(mine(tmp_path, sites=(name, "b")), tmp_path, tmp_path / "p")


def test_stale_files_go_and_hidden_ones_stay(tmp_path: Path) -> None:
    data = mine(tmp_path)
    prepare(data, tmp_path, tmp_path / "p")
    folder = tmp_path / "p/north"
    for name in ("old.csv", ".gitignore", ".records.csv.half"):
        (folder / name).write_text("x")
    prepare(data, tmp_path, tmp_path / "p")
    names = {path.name for path in folder.iterdir()}
    assert names == {".gitignore", "coverage.json", "quarantine.csv", "records.csv"}


@pytest.mark.parametrize(
    ("name", "keep", "error", "message"),
    [
        ("records.safetensors", None, DataError, r"'north': .*records\.safetensors: no such file"),
        ("records.safetensors", 100, CorruptDataError, "'north': .*truncated or damaged"),
        ("coverage.json", 10, CorruptDataError, "'north': .*not a coverage record"),
        ("schema.json", 10, DataError, r"north/schema\.json: not a valid schema"),
    ],
)
def test_a_missing_or_truncated_file_is_named(
    tmp_path: Path, name: str, keep: int | None, error: type[Exception], message: str
) -> None:
    data = mine(tmp_path)
    prepare(data, tmp_path, tmp_path / "p")
    partition(data, tmp_path / "p", tmp_path / "h")
    path = tmp_path / "h/north" / name
    if keep is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(error, match=message):
        load_hospital(path.parent)


def test_files_at_odds_are_named(tmp_path: Path) -> None:
    data = mine(tmp_path)
    prepare(data, tmp_path, tmp_path / "p")
    partition(data, tmp_path / "p", tmp_path / "h")
    path = tmp_path / "h/north/coverage.json"
    path.write_text(path.read_text().replace('"kept": 12', '"kept": 13'))
    with pytest.raises(CorruptDataError, match="is not 13 rows"):
        load_hospital(path.parent)
    path = tmp_path / "p/south/records.csv"
    path.write_text("\n".join(path.read_text().split("\n")[:-2]) + "\n")
    with pytest.raises(CorruptDataError, match=r"'south': .*holds 11 rows"):
        partition(data, tmp_path / "p", tmp_path / "h")
    path.write_text("age,dose,ill\n1,x,0\n")
    with pytest.raises(CorruptDataError, match=r"'south': .*not the table"):
        partition(data, tmp_path / "p", tmp_path / "h")


def test_a_row_that_is_for_nothing_is_found(tmp_path: Path) -> None:
    data = mine(tmp_path)
    prepare(data, tmp_path, tmp_path / "p")
    partition(data, tmp_path / "p", tmp_path / "h")
    path = tmp_path / "h/north/records.safetensors"
    tensors = safetensors.torch.load(path.read_bytes())
    tensors["split"][3] = 7
    path.write_bytes(safetensors.torch.save(tensors))
    with pytest.raises(CorruptDataError, match=r"'north': .* neither train, test nor validate"):
        load_hospital(tmp_path / "h/north")


def test_nothing_prepared_and_unwritable_folders(tmp_path: Path) -> None:
    data = mine(tmp_path)
    with pytest.raises(DataError, match="run `wardround prepare` first"):
        partition(data, tmp_path / "none", tmp_path / "h")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        prepare(data, tmp_path, tmp_path / "file" / "p")


def images(folder: Path, **source: Any) -> DataConfig:
    """A made-up archive of 20 images a part, each image filled with its part's number, cut into
    Dirichlet hospitals."""
    generator = np.random.default_rng(0)
    arrays = {}
    for shade, part in enumerate(("train", "val", "test")):
        noise = generator.integers(0, 80, (20, 28, 28), dtype=np.uint8)
        arrays[f"{part}_images"] = noise + np.uint8(80 * shade)
        arrays[f"{part}_labels"] = generator.integers(0, 2, (20, 1), dtype=np.uint8)
    np.savez(folder / "made.npz", **arrays)  # type: ignore[arg-type]
    return config(
        dataset="medmnist",
        source={"name": "pneumoniamnist", "path": "made.npz", **source},
        partition={"name": "dirichlet", "min_rows": 10},
        min_rows=10,
        hospitals=[],
    )


def test_a_published_split_is_carried_to_the_hospitals(tmp_path: Path) -> None:
    data = changed(images(tmp_path, official_split=True), validation_fraction=0.5)
    prepare(data, tmp_path, tmp_path / "p")
    names = partition(data, tmp_path / "p", tmp_path / "h")
    loaded = [load_hospital(tmp_path / "h" / name) for name in names]
    for code, shade in ((TRAIN, 0), (VALIDATION, 80), (TEST, 160)):
        pixels = torch.cat([raw.features[raw.split == code] for raw in loaded])
        assert len(pixels) == 20
        assert shade <= int(pixels.min()) <= int(pixels.max()) < shade + 80


def test_images_from_end_to_end(tmp_path: Path) -> None:
    data = images(tmp_path)
    prepare(data, tmp_path, tmp_path / "p")
    names = partition(data, tmp_path / "p", tmp_path / "h")
    loaded = [load_hospital(tmp_path / "h" / name) for name in names]
    assert sum(len(raw.targets) for raw in loaded) == 60
    assert all(raw.features.dtype == torch.uint8 for raw in loaded)
    _, encoded = to_data(loaded, data)
    pixels = torch.cat([one.train.features for one in encoded])
    assert pixels.shape[1:] == (1, 28, 28)
    assert abs(float(pixels.mean())) < 1e-4
    assert float(pixels.std()) == pytest.approx(1, abs=1e-4)


def test_a_partition_that_leaves_too_few_rows_says_so(tmp_path: Path) -> None:
    data = mine(tmp_path)
    small = changed(data, partition={"name": "iid", "hospitals": 6})
    prepare(small, tmp_path, tmp_path / "p")
    with pytest.raises(DataError, match=r"'hospital-1': 4 of 4 rows .* asks for 5"):
        partition(small, tmp_path / "p", tmp_path / "h")


@pytest.mark.parametrize(
    ("question", "shape"), [("value", ()), ("labels", (3,)), ("survival", (2,))]
)
def test_other_questions_from_end_to_end(
    tmp_path: Path, question: str, shape: tuple[int, ...]
) -> None:
    source = {"question": question, "hospitals": 2, "rows": 50, "features": 2}
    data = config(dataset="synthetic", source=source, hospitals=[], test_fraction=0.4)
    prepare(data, tmp_path, tmp_path / "prepared")
    partition(data, tmp_path / "prepared", tmp_path / "hospitals")
    one = load_hospital(tmp_path / "hospitals/hospital-1")
    columns = [c.name for c in one.schema.targets]
    raw = data.reader.read(tmp_path).frame[columns].iloc[:50].to_numpy()
    assert one.targets.dtype == torch.float64
    assert one.targets.shape == (50, *shape)
    np.testing.assert_array_equal(one.targets.reshape(50, -1), raw)
    assert int(one.test.sum()) == 20
    if question == "survival":  # test rows are drawn by event
        events = one.targets[:, 1]
        assert abs(events[one.test].mean() - events.mean()) < 0.05

    path = tmp_path / "prepared/hospital-1/records.csv"
    lines = path.read_text().splitlines()
    lines[3] = ",".join([*lines[3].split(",")[:-1], ""])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(CorruptDataError, match=f"{columns[-1]} is not as prepare wrote it"):
        partition(data, tmp_path / "prepared", tmp_path / "again")
