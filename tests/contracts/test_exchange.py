"""Pairs leave shards as other trainers read them, and come back as they left."""

from __future__ import annotations

import csv
import json
import re
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import rainsynth
from mspfn.curriculum import CurriculumConfig
from mspfn.dataset import TrainingPairs
from mspfn.pair_folder import PairFolder
from pipelines import exchange
from pipelines.cli import app
from pipelines.exchange import export, import_pairs
from pipelines.pair_layouts import LAYOUTS
from pipelines.verify import verify
from rainsynth.checks import InputError
from rainsynth.fingerprint import fingerprint_of
from rainsynth.pictures import read_photo
from rainsynth.shards.codecs import CODECS
from rainsynth.shards.reader import check_shard
from rainsynth.shards.writer import Provenance, write_shard

SIDE_PX = 40


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five samples of a photograph in two shards."""
    folder = tmp_path_factory.mktemp("rain")
    photo = np.random.default_rng(1).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    samples = [rainsynth.add_rain(photo, 20.0 + index, seed=index) for index in range(5)]
    for number, part in enumerate((samples[:3], samples[3:])):
        write_shard(folder / f"shard-{number:05d}.h5", part, [Provenance("a.png", "0" * 64)] * len(part), {})
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two pairs of pictures of unequal sizes."""
    rng = np.random.default_rng(2)
    for kind in ("input", "target"):
        (tmp_path / "pairs" / kind).mkdir(parents=True)
        for name, size in (("a.png", (24, 30, 3)), ("b.png", (20, 20, 3))):
            Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(tmp_path / "pairs" / kind / name)
    return tmp_path / "pairs"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("profile", CODECS)
def test_pairs_that_leave_and_come_back_are_the_same(data_set: Path, tmp_path: Path, layout: str, profile: str) -> None:
    export(data_set, tmp_path / "out", layout=layout, workers=2)
    import_pairs(tmp_path / "out", tmp_path / "back", profile=profile)
    before, after = rainsynth.open_shards(data_set), rainsynth.open_shards(tmp_path / "back")
    assert len(after) == len(before) == 5
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.rainy_srgb8, other.rainy_srgb8)
        np.testing.assert_array_equal(one.clean_srgb8, other.clean_srgb8)
    assert verify(tmp_path / "back") == []


# Read from the code of each project: PReNet's DerainDataset.py, BasicSR's data_util.py, Restormer's Rain13K.
FILES = {
    "input-target": ("input/000000.png", "target/000000.png"),
    "basicsr": ("lq/000000.png", "gt/000000.png"),
    "prenet": ("rain-1.png", "norain-1.png"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_has_the_names_that_its_trainer_looks_for(data_set: Path, tmp_path: Path, layout: str) -> None:
    export(data_set, tmp_path / "out", layout=layout)
    first = rainsynth.open_shards(data_set)[0]
    for name, picture in zip(FILES[layout], (first.rainy_srgb8, first.clean_srgb8), strict=True):
        np.testing.assert_array_equal(read_photo(tmp_path / "out" / name), picture)
    if layout == "basicsr":
        assert (tmp_path / "out/meta_info.txt").read_text().splitlines()[4] == "000004.png (40,40,3)"


def test_an_exported_folder_is_a_folder_of_pairs_with_its_parameters(data_set: Path, tmp_path: Path) -> None:
    export(data_set, tmp_path / "out")
    assert len(PairFolder(tmp_path / "out")) == 5
    with (tmp_path / "out/parameters.csv").open() as file:
        rows = list(csv.DictReader(file))
    rates = rainsynth.open_shards(data_set).table["rain_rate_mm_h"]
    assert [float(row["rain_rate_mm_h"]) for row in rows] == rates.tolist()


def test_the_veiled_target_is_exported(data_set: Path, tmp_path: Path) -> None:
    export(data_set, tmp_path / "out", target="veiled")
    np.testing.assert_array_equal(
        read_photo(tmp_path / "out/target/000002.png"), rainsynth.open_shards(data_set)[2].veiled_srgb8
    )


def test_a_stopped_export_goes_on_where_it_stopped(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export(data_set, out)
    whole = {path: path.read_bytes() for path in out.rglob("*.png")}
    (out / "input/000003.png").unlink()
    (out / "target/000001.png").unlink()
    written: list[str] = []
    write_png = exchange._write_png
    monkeypatch.setattr(
        exchange, "_write_png", lambda path, picture: (written.append(path.name), write_png(path, picture))
    )
    with pytest.raises(InputError, match="--to must be a new or empty folder"):
        export(data_set, out)
    with pytest.raises(InputError, match="another target than"):
        export(data_set, out, target="veiled", resume=True)
    export(data_set, out, resume=True)
    assert sorted(written) == ["000001.png", "000003.png"]
    assert {path: path.read_bytes() for path in out.rglob("*.png")} == whole


def test_more_pairs_than_prenet_reads_are_mentioned(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setitem(LAYOUTS, "prenet", replace(LAYOUTS["prenet"], most=4))
    assert export(data_set, tmp_path / "out", layout="prenet") == [
        "prenet reads the first 4 pairs of a folder; this one holds 5"
    ]


def test_imported_pairs_keep_what_is_known_and_nothing_else(pairs: Path, tmp_path: Path) -> None:
    manifest = import_pairs(pairs, tmp_path / "shards")
    assert [shard["samples"] for shard in manifest["shards"]] == [1, 1]
    shards = rainsynth.open_shards(tmp_path / "shards")
    names = ("index", "name", "rain_rate_mm_h", "psnr_y_db", "height_px", "width_px")
    assert shards.table.dtype.names == names
    assert shards.table["name"].tolist() == [b"a", b"b"]
    assert np.isnan(shards.table["rain_rate_mm_h"]).all()
    assert shards.layer_names(0) == ()
    assert shards.backgrounds["name"].tolist() == [b"target/a.png", b"target/b.png"]
    with pytest.raises(InputError, match="must hold the layer transmission16"):
        _ = shards[0].veiled_srgb8


def test_imported_pairs_have_the_fingerprints_of_their_targets(pairs: Path, tmp_path: Path) -> None:
    import_pairs(pairs, tmp_path / "shards")
    stored = rainsynth.open_shards(tmp_path / "shards").fingerprints
    expected = [fingerprint_of(read_photo(pairs / "target" / name)) for name in ("a.png", "b.png")]
    np.testing.assert_array_equal(stored, expected)


def test_imported_pairs_train_with_the_uniform_curriculum_only(pairs: Path, tmp_path: Path) -> None:
    import_pairs(pairs, tmp_path / "shards")
    shards = rainsynth.open_shards(tmp_path / "shards")
    options = {"patch_px": 16, "batch_size": 4, "steps": 2, "seed": 0}
    rainy, clean = TrainingPairs(shards, curriculum=CurriculumConfig(name="uniform"), **options).pictures(0)
    again = TrainingPairs(PairFolder(pairs), curriculum=CurriculumConfig(name="uniform"), **options).pictures(0)
    np.testing.assert_array_equal(rainy, again[0])
    np.testing.assert_array_equal(clean, again[1])
    with pytest.raises(InputError, match="unknown rain rate"):
        TrainingPairs(shards, curriculum=CurriculumConfig(name="light-to-heavy"), **options)


def test_an_import_goes_on_where_it_stopped(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    import_pairs(pairs, out)
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").unlink()
    (out / "shard-00001.h5").unlink()
    with pytest.raises(InputError, match="--to must be a new or empty folder"):
        import_pairs(pairs, out)
    assert import_pairs(pairs, out, resume=True) == manifest


def break_partner(folder: Path) -> None:
    (folder / "target/b.png").unlink()


def break_size(folder: Path) -> None:
    Image.new("RGB", (21, 20)).save(folder / "target/b.png")


def break_depth(folder: Path) -> None:
    Image.fromarray(np.zeros((20, 20), np.uint16)).save(folder / "target/b.png")


def break_twice(folder: Path) -> None:
    Image.new("RGB", (20, 20)).save(folder / "input/b.jpg")


FAULTS = {
    break_partner: "got input/b without target/b",
    break_size: r"input/b\.png must have the size of .*target/b\.png, got 20x20 px and 21x20 px",
    break_depth: "must be an 8-bit RGB or grey picture",
    break_twice: r"b\.png must be the only picture of its name, got b\.jpg beside it",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_pairs_that_are_none_are_refused_in_one_line(pairs: Path, tmp_path: Path, fault) -> None:  # type: ignore[no-untyped-def]
    fault(pairs)
    with pytest.raises(InputError, match=FAULTS[fault]) as caught:
        import_pairs(pairs, tmp_path / "shards")
    assert "\n" not in str(caught.value)


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must hold input/ and target/, lq/ and gt/, or rain-N"):
        import_pairs(tmp_path, tmp_path / "out")


def test_a_flipped_bit_that_no_read_meets_is_seen_by_verify(pairs: Path, tmp_path: Path) -> None:
    import_pairs(pairs, tmp_path / "shards")
    path = tmp_path / "shards/shard-00000.h5"
    whole = path.read_bytes()
    for gap in re.finditer(bytes(24), whole):  # zeros: some belong to arrays, some lie unused between them
        path.write_bytes(whole[: gap.start()] + b"\1" + whole[gap.start() + 1 :])
        with suppress(InputError):
            check_shard(path)
            break
    else:
        pytest.fail("no byte of the file is unused")
    assert verify(tmp_path / "shards") == [f"{path}: its SHA-256 is not the manifest's"]


def test_the_verbs_say_what_they_wrote(data_set: Path, tmp_path: Path) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    run = partial(CliRunner().invoke, app)
    assert run(["export", str(data_set), "--to", str(out), "--layout", "prenet", "--workers", "1"]).exit_code == 0
    words = ["import", str(out), "--to", str(back), "--profile", "small", "--no-fingerprints"]
    assert run(words).exit_code == 0
    assert len(rainsynth.open_shards(back)) == 5
    assert rainsynth.open_shards(back).fingerprints is None
    refused = run(["export", str(data_set), "--to", str(out), "--workers", "1"])
    assert "--to must be a new or empty folder" in str(refused.exception)
