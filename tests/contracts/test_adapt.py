"""A trained network learns on for another place, and never ends far below where it began."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mspfn.checkpoint import about_weights, load_weights, save_weights
from mspfn.inference import derain
from mspfn.networks import build_network
from pipelines.adapt import Adaptation, fitted_rain, given, shared
from pipelines.cost import cost_of
from rainsynth.checks import InputError
from rainsynth.pictures import read_photo, write_picture

CONFIG = Path(__file__).parents[2] / "configs" / "adapt" / "another_place.yaml"
TRAINED_ON = {"config": {"data": {"target": "veiled", "presets": [{"preset": "light", "weight": 3.0}]}}}
NAMED = {"data": {"presets": [{"preset": "drizzle"}]}}
QUICK = ["steps=3", "validate_every_steps=2", "optimizer.warmup_steps=1", "data.patch_px=16", "unpaired.patch_px=16"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Clean photographs, others that are held out, rainy ones, fitted rain, and weights."""
    rng = np.random.default_rng(0)
    for folder in ("clean", "others", "rainy"):
        for name in ("a.png", "b.png"):
            write_picture(tmp_path / folder / name, rng.integers(0, 256, (300, 300, 3), dtype=np.uint8))
    (tmp_path / "fitted.yaml").write_text(
        "data: {photographs: x}\nsamples: 10\nmixture: [{preset: heavy, weight: 4}, {preset: windy, weight: 12}]\n"
    )
    network = build_network("mspfn-demo", fine_fusion_units=1, channels=8)
    save_weights(tmp_path / "weights.pt", network, about=TRAINED_ON)
    return tmp_path


def wanted(place: Path, **changes: object) -> Adaptation:
    values = {"weights": str(place / "weights.pt"), "photographs": place / "clean", "held_out": place / "others"}
    return Adaptation(**values | {"rainy": place / "rainy"} | changes)  # type: ignore[arg-type]


def test_the_network_its_rain_and_its_target_are_those_of_the_weights(place: Path) -> None:
    values = given(wanted(place), {}, place / "shards")
    assert values["network__overrides"]["channels"] == 8
    assert (values["data__target"], values["data__presets"]) == ("veiled", [{"preset": "light", "weight": 3.0}])
    assert values["unpaired__presets"] == values["data__presets"]


def test_what_the_config_names_goes_before_what_the_weights_say(place: Path) -> None:
    values = given(wanted(place), {"data": {"target": "clean", "presets": [{"preset": "heavy"}]}}, place / "shards")
    assert (values["data__target"], values["data__presets"]) == ("clean", [{"preset": "heavy"}])
    values = given(wanted(place), {"network": {"overrides": {"fine_fusion_units": 3}}}, place / "shards")
    assert (values["network__overrides"]["fine_fusion_units"], values["network__overrides"]["channels"]) == (3, 8)


def test_a_network_adapted_again_keeps_the_rain_it_knew_first(
    place: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    words = ["adapt", CONFIG, "--photographs", place / "clean", "--held-out", place / "others"]
    words += ["--fitted", place / "fitted.yaml", *(word for setting in QUICK[:4] for word in ("--set", setting))]
    for weights, out in (("weights.pt", "once"), ("once/weights.pt", "twice")):
        code, _, error = run(*words, "--weights", place / weights, "--out", place / out)
        assert code == 0, error
        config = json.loads((place / out / "config.json").read_text())
        shares = {part["preset"]: part["weight"] for part in config["data"]["presets"]}
        assert shares == pytest.approx({"light": 0.5, "heavy": 0.125, "windy": 0.375})
    anew = given(wanted(place, weights=str(place / "twice" / "weights.pt")), NAMED, place / "shards")
    assert anew["own_rain"] == NAMED["data"]["presets"]


def test_weights_that_do_not_say_what_they_were_trained_on_need_to_be_told(place: Path) -> None:
    save_weights(place / "bare.pt", build_network("mspfn-demo", fine_fusion_units=1, channels=8))
    bare = wanted(place, weights=str(place / "bare.pt"))
    with pytest.raises(InputError, match=r"^data.presets and data.target must be named for weights .* got .*bare.pt\."):
        given(bare, {}, place / "shards")
    with pytest.raises(InputError, match=r"^data.target must be named"):
        given(bare, NAMED, place / "shards")
    values = given(bare, {"data": NAMED["data"] | {"target": "veiled"}}, place / "shards")
    assert (values["data__target"], values["data__presets"]) == ("veiled", NAMED["data"]["presets"])


@pytest.mark.parametrize("values", [{"data": 3}, {"network": None}, {"network": {"overrides": [8]}}])
def test_a_value_where_a_group_of_values_belongs_is_refused(place: Path, values: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"^(data|network|network\.overrides) must hold keys and values, got"):
        given(wanted(place), values, place / "shards")


def test_settings_name_its_own_rain_and_more_units_than_the_weights_have(
    place: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    words = ["adapt", CONFIG, "--weights", place / "weights.pt", "--photographs", place / "clean"]
    words += ["--held-out", place / "others", "--fitted", place / "fitted.yaml", "--out", place / "there"]
    settings = [*QUICK[:4], "data.presets=[{preset: drizzle}]", "network.overrides={fine_fusion_units: 2}"]
    code, _, error = run(*words, *(word for setting in settings for word in ("--set", setting)))
    assert code == 0, error
    config = json.loads((place / "there" / "config.json").read_text())
    assert [part["preset"] for part in config["data"]["presets"]] == ["drizzle", "heavy", "windy"]
    assert about_weights(place / "there" / "weights.pt")["network"]["config"]["fine_fusion_units"] == 2
    code, _, error = run(*words[:-1], place / "elsewhere", "--set", "data.photographs=others")
    assert (code, error.count("\n")) == (2, 1)
    assert "--set must not name what an option says" in error
    assert not (place / "elsewhere").exists()


def test_fitted_rain_is_half_of_the_pairs_and_all_that_is_added_to_rainy_photographs(place: Path) -> None:
    values = given(wanted(place, fitted=place / "fitted.yaml"), {}, place / "shards")
    shares = {part["preset"]: part["weight"] for part in values["data__presets"]}
    assert shares == pytest.approx({"light": 0.5, "heavy": 0.125, "windy": 0.375})
    assert [part["preset"] for part in values["unpaired__presets"]] == ["heavy", "windy"]


def test_without_rainy_photographs_nothing_is_learned_without_pairs(place: Path) -> None:
    values = given(wanted(place, rainy=None, fitted=place / "fitted.yaml"), {}, place / "shards")
    assert values["unpaired"] is None
    with pytest.raises(InputError, match="--to RAINY_PHOTOGRAPHS or --fitted"):
        wanted(place, rainy=None)


def test_a_mixture_keeps_its_proportions_beside_another() -> None:
    own, other = [{"preset": "light"}, {"preset": "heavy"}], [{"preset": "windy", "weight": 7.0}]
    assert [part["weight"] for part in shared(own, other, 0.2)] == pytest.approx([0.1, 0.1, 0.8])
    assert shared(own, other, 0) == [{"preset": "windy", "weight": 1.0}]


@pytest.mark.parametrize("fraction", [-0.1, 1.5, float("nan")])
def test_a_part_of_its_own_rain_that_is_none_is_refused(place: Path, fraction: float) -> None:
    with pytest.raises(InputError, match="--own-fraction must"):
        wanted(place, fitted=place / "fitted.yaml", own_fraction=fraction)


def test_a_part_of_its_own_rain_goes_with_fitted_rain_alone(place: Path) -> None:
    with pytest.raises(InputError, match="--own-fraction must go with --fitted"):
        wanted(place, own_fraction=0.5)


def test_a_config_of_rain_that_is_wrong_is_refused(place: Path) -> None:
    (place / "fitted.yaml").write_text("mixture: [{preset: hevy}]\nsamples: 1\n")
    with pytest.raises(InputError, match="got 'hevy'"):
        fitted_rain(place / "fitted.yaml")


def test_adapt_writes_weights_of_the_same_network_and_goes_on_where_it_was_stopped(
    place: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    words = ["adapt", CONFIG, "--weights", place / "weights.pt", "--photographs", place / "clean"]
    words += ["--held-out", place / "others", "--to", place / "rainy", "--out", place / "there"]
    words += [word for setting in QUICK for word in ("--set", setting)]
    code, said, error = run(*words)
    assert (code, error.count("\n")) == (0, 0), error
    assert "after 3 steps" in said
    assert about_weights(place / "there" / "weights.pt")["network"] == about_weights(place / "weights.pt")["network"]
    load_weights(place / "there" / "weights.pt")
    before = (place / "there" / "weights.pt").read_bytes()
    assert run(*words, "--resume")[0] == 0
    assert (place / "there" / "weights.pt").read_bytes() == before


def test_held_out_photographs_that_are_trained_on_are_refused(
    place: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    words = ["adapt", CONFIG, "--weights", place / "weights.pt", "--photographs", place / "clean", "--to"]
    words += [place / "rainy", "--results-fraction", 0.2]
    code, _, error = run(*words, "--held-out", place / "clean", "--out", place / "there")
    assert (code, "a.png" in error) == (2, True)
    assert not list(place.glob("there*"))


def test_results_are_a_part_of_the_pairs_beside_the_rain_and_no_teacher_then(place: Path) -> None:
    values = given(wanted(place, fitted=place / "fitted.yaml", results_fraction=0.2), {}, place / "there")
    rain, results = values["data__sources"]
    assert (rain["weight"], results["weight"]) == pytest.approx((0.8, 0.2))
    assert (rain["photographs"], results["pairs"]) == (str(place / "clean"), str(place / "there-results"))
    assert {part["preset"]: part["weight"] for part in rain["presets"]} == pytest.approx(
        {"light": 0.5, "heavy": 0.125, "windy": 0.375}
    )
    assert (values["data__photographs"], values["unpaired"]) == (None, None)


def test_a_network_learns_from_its_own_results_over_eight_views(
    place: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    words = ["adapt", CONFIG, "--weights", place / "weights.pt", "--photographs", place / "clean"]
    words += ["--held-out", place / "others", "--to", place / "rainy", "--results-fraction", 0.5]
    words += [word for setting in QUICK[:4] for word in ("--set", setting)]
    code, _, error = run(*words, "--out", place / "there")
    assert code == 0, error
    network = load_weights(place / "weights.pt")
    for number, name in enumerate(("a", "b")):
        rainy, result = (
            read_photo(place / "there-results" / folder / f"{number:04d}_{name}.png") for folder in ("input", "target")
        )
        np.testing.assert_array_equal(rainy, read_photo(place / "rainy" / f"{name}.png"))
        np.testing.assert_array_equal(result, derain(rainy, network, mirrored=True, shifted=True))
    config = json.loads((place / "there" / "config.json").read_text())
    assert [source["pairs"] for source in config["data"]["sources"]] == [None, "there-results"]
    assert config["data"]["presets"] == []  # what is drawn stands with its source
    assert run(*words, "--out", place / "there", "--resume")[0] == 0
    # Results that are there already may be of other weights: they are no new run's.
    (place / "again-results").mkdir()
    (place / "again-results" / "left.txt").write_text("x")
    code, _, error = run(*words, "--out", place / "again")
    assert (code, error.count("\n")) == (2, 1)
    assert "the folder of --results-fraction must be a new or empty folder" in error
    # What was adapted so goes on from what it knew first.
    on = given(wanted(place, weights=str(place / "there" / "weights.pt")), {}, place / "on")
    assert [(part["preset"], part["weight"]) for part in on["own_rain"]] == [("light", 3.0)]


def test_processes_adapt_together_and_the_first_makes_the_pictures(place: Path) -> None:
    words = ["adapt", CONFIG, "--weights", place / "weights.pt", "--photographs", place / "clean"]
    words += ["--held-out", place / "others", "--to", place / "rainy", "--results-fraction", 0.5, "--resume"]
    words += [word for setting in QUICK[:4] for word in ("--set", setting)]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "pipelines.main", *map(str, words), "--out", str(place / "there")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list((place / "there-results" / "target").iterdir())) == 2
    load_weights(place / "there" / "weights.pt")
    costs_s = [json.loads((place / "there" / name).read_text())["processor_s"] for name in ("cost.json", "cost-1.json")]
    cost = cost_of(place / "there")
    assert min(costs_s) > 0 and cost is not None and cost.processor_s == pytest.approx(sum(costs_s))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"results_fraction": 1.0}, "--results-fraction must be"),
        ({"results_fraction": float("nan")}, "--results-fraction must be"),
        ({"results_fraction": 0.2, "rainy": None, "fitted": Path("x")}, "--results-fraction must go with --to"),
    ],
)
def test_a_part_of_results_that_is_none_or_of_nothing_is_refused(
    place: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        wanted(place, **changes)
