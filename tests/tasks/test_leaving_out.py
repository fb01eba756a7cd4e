"""Hospitals that take no part: by name, or for want of rows; said to the person who trains."""

from pathlib import Path

import pytest

from federated.config import load
from federated.errors import ConfigError, DataError
from tasks.coverage import notes
from tasks.hospital_files import load_hospital
from tasks.pipeline import require_stages
from tasks.preparation import partition, prepare
from tests.conftest import ROOT
from tests.tasks.test_preparation import changed, config, mine


def made(folder: Path) -> dict[str, tuple[str, ...]]:
    """Hospital → what is said of it."""
    paths = sorted(path.parent for path in folder.glob("*/coverage.json"))
    return {path.name: load_hospital(path).coverage.notes for path in paths}


def test_a_hospital_is_left_out_by_name(tmp_path: Path) -> None:
    data = changed(config(), leave_out=("switzerland",))
    found = prepare(data, ROOT, tmp_path / "p")
    assert [one.hospital for one in found] == ["cleveland", "hungary", "va"]
    assert notes(found) == ["left out (data.leave_out): switzerland"]
    partition(data, tmp_path / "p", tmp_path / "h")
    assert "left out (data.leave_out): switzerland" in made(tmp_path / "h")["va"]
    unlisted = changed(data, hospitals=("cleveland", "hungary", "va"))
    assert len(prepare(unlisted, ROOT, tmp_path / "q")) == 3
    with pytest.raises(DataError, match="no hospital 'swizerland'; did you mean 'switzerland'"):
        prepare(changed(data, leave_out=("swizerland",)), ROOT, tmp_path / "r")
    every = ("cleveland", "hungary", "switzerland", "va")
    with pytest.raises(DataError, match="names every hospital"):
        prepare(changed(data, leave_out=every), ROOT, tmp_path / "r")


def test_its_rows_are_in_no_made_up_hospital(tmp_path: Path) -> None:
    iid = changed(config(), partition={"name": "iid", "hospitals": 2}, leave_out=("cleveland",))
    prepare(iid, ROOT, tmp_path / "p")
    partition(iid, tmp_path / "p", tmp_path / "h")
    sizes = [len(load_hospital(tmp_path / "h" / name).targets) for name in made(tmp_path / "h")]
    assert sum(sizes) == 920 - 303
    plain = config(dataset="breast_cancer", partition={"name": "iid"}, leave_out=["va"])
    with pytest.raises(DataError, match="no hospital 'va'; they name no hospitals"):
        prepare(plain, ROOT, tmp_path / "q")


def test_what_is_left_out_changes_no_test_row(tmp_path: Path) -> None:
    for name, data in (("all", config()), ("less", changed(config(), leave_out=("va",)))):
        prepare(data, ROOT, tmp_path / name / "p")
        partition(data, tmp_path / name / "p", tmp_path / name / "h")
    files = [tmp_path / name / "h/hungary/records.safetensors" for name in ("all", "less")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_all_small_hospitals_are_named_or_left_out(tmp_path: Path) -> None:
    data = changed(config(), min_rows=250)
    with pytest.raises(DataError) as caught:
        prepare(data, ROOT, tmp_path / "p")
    assert "hospital 'switzerland': 123 of 123 rows are usable" in str(caught.value)
    assert "hospital 'va': 200 of 200" in str(caught.value)
    assert "data.leave_out: [switzerland, va]" in str(caught.value)
    assert not (tmp_path / "p").exists()
    fewer = changed(data, small_hospitals="leave_out")
    found = prepare(fewer, ROOT, tmp_path / "p")
    assert [one.hospital for one in found] == ["cleveland", "hungary"]
    said = "left out (fewer than 250 usable rows or patients; data.min_rows, data.small_hospitals)"
    assert notes(found) == [f"{said}: switzerland, va"]
    with pytest.raises(DataError, match="hospital 'cleveland'"):
        prepare(changed(fewer, min_rows=1000), ROOT, tmp_path / "q")


def test_small_made_up_hospitals_are_left_out_too(tmp_path: Path) -> None:
    data = mine(tmp_path, rows=30)
    cut = {"name": "dirichlet", "hospitals": 4, "alpha": 0.2, "min_rows": 1}
    uneven = changed(data, partition=cut, min_rows=10, seed=4)
    prepare(uneven, tmp_path, tmp_path / "p")
    with pytest.raises(DataError, match=r"hospital 'hospital-\d'.*\n(hospital.*\n)*Mend"):
        partition(uneven, tmp_path / "p", tmp_path / "h")
    fewer = changed(uneven, small_hospitals="leave_out")
    names = partition(fewer, tmp_path / "p", tmp_path / "h")
    assert 0 < len(names) < 4
    assert all(len(load_hospital(tmp_path / "h" / name).targets) >= 10 for name in names)
    assert all(
        "data.small_hospitals): hospital-" in " ".join(n) for n in made(tmp_path / "h").values()
    )
    alone = partition(fewer, tmp_path / "p", tmp_path / "i", names[0])
    assert alone == names[:1]


def test_copies_across_the_split_are_said(tmp_path: Path) -> None:
    """The rows of the README's run: two of them are tested and trained on."""
    prepare(config(), ROOT, tmp_path / "p")
    partition(config(), tmp_path / "p", tmp_path / "h")
    said = {name: each for name, each in made(tmp_path / "h").items() if each}
    assert said.keys() == {"hungary", "va"}
    assert said["hungary"][0].startswith("hungary: of 100 test rows 1 found again, the same in")
    assert said["va"][0].startswith("va: of 68 test rows 1 found again, the same in every cell")


def test_rows_that_two_hospitals_have_are_said(tmp_path: Path) -> None:
    data = mine(tmp_path)
    lines = (tmp_path / "mine.csv").read_text().splitlines()
    copied = lines[1].replace("north", "south")
    (tmp_path / "mine.csv").write_text("\n".join([*lines, copied]) + "\n")
    found = prepare(data, tmp_path, tmp_path / "p")
    assert [one.notes[-1] for one in found] == [
        f"{site}: 1 of its rows stand at other hospitals too, the same in every cell: if they are "
        "the same patients, and not others who are alike, they may train at one hospital and test "
        "at another"
        for site in ("north", "south")
    ]


def test_the_keys_are_checked(tmp_path: Path) -> None:
    assert load(ROOT / "params.yaml", ["data.leave_out=[va]"]).data.leave_out == ("va",)
    with pytest.raises(ConfigError, match=r"data\.small_hospitals: Input should be 'refuse' or"):
        load(ROOT / "params.yaml", ["data.small_hospitals=drop"])


def test_dvc_has_no_stage_for_one_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    data = changed(config(), leave_out=("va",))
    made = ["cleveland", "hungary", "switzerland"]
    require_stages(data, made)
    monkeypatch.setenv("DVC_STAGE", "prepare")
    with pytest.raises(ConfigError, match=r"data\.hospitals lists va, which take no part"):
        require_stages(data, made)
    require_stages(changed(data, hospitals=tuple(made)), made)
