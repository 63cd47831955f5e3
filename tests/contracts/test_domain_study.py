"""A study of domains: its runs and what they start from, what is refused, and what its figures follow from."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from pipelines.config import build_config, load_config
from pipelines.domains import study as domain_study
from pipelines.domains.config import METHODS, DomainStudy
from pipelines.domains.distance import FEWEST_PAIRS, STATISTICS, Distance
from pipelines.domains.findings import Findings, find
from pipelines.domains.material import (
    GUARD,
    MEASURED,
    Measured,
    check_material,
    clean_pictures,
    rain_to_measure,
    rainy_folder,
    write_rainy,
)
from pipelines.domains.plan import DomainRun, runs_of
from pipelines.domains.report import write_report
from pipelines.domains.study import check_fits, fits_of, study_domains, targets_to_fit
from pipelines.domains.tables import gain_rows, kept_rows, matrix_rows
from pipelines.study_runs import make_runs, take_ready
from rainsynth.checks import InputError
from rainsynth.preset_choice import PresetChoice

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "study" / "domain.yaml"
FITTED = (PresetChoice(preset="windy", weight=7.0),)
SMALL: dict[str, Any] = {
    "train": {
        "data": {"photographs": "photos", "patch_px": 16, "batch_size": 2},
        "network": {"name": "mspfn", "overrides": {"fine_fusion_units": 1, "channels": 8}},
        "steps": 4,
        "optimizer": {"learning_rate": 0.005, "warmup_steps": 1},
        "loss": "psnr",
        "precision": "float32",
        "checkpoint_every_steps": 2,
    },
    "adaptation": {"steps": 3, "rainy_pictures": 3, "unpaired_batch_size": 1, "guard_every_steps": 2},
    "domains": {
        "light": {"presets": [{"preset": "light"}]},
        "heavy": {"presets": [{"preset": "heavy", "weight": 4}, {"preset": "violent", "weight": 12}]},
        "set": {"pairs": "pairs", "train_pairs": "other_pairs", "fitted": "fitted.yaml"},
        "street": {"photographs": "street", "fitted": "fitted.yaml"},
    },
    "sources": ["light", "heavy"],
    "targets": ["heavy", "set", "street"],
    "methods": ["source", "fitted", "adapted", "fitted+adapted", "supervised"],
    "evaluation": {"photographs": "heldout", "samples": 3, "crop_px": 64},
    "seeds": 2,
}
PAIRS = [("light", "heavy"), ("light", "set"), ("light", "street"), ("heavy", "set"), ("heavy", "street")]
SUPERVISABLE = ("heavy", "set")


def small(**changes: Any) -> DomainStudy:
    return build_config(DomainStudy, SMALL | changes, "a test")


def without_fits(**changes: Any) -> DomainStudy:
    return small(methods=["source", "adapted", "supervised"], **changes)


@lru_cache
def small_config() -> DomainStudy:
    return small()


@lru_cache
def planned(out: Path = Path("/study")) -> dict[str, DomainRun]:
    return by_name(small_config(), out)


def by_name(config: DomainStudy, out: Path) -> dict[str, DomainRun]:
    fitted = {"heavy": FITTED, "set": FITTED, "street": FITTED}
    return {run.name: run for run in runs_of(config, out, fitted)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with photographs, held-out ones, pairs, other pairs, rainy photographs and fitted rain."""
    rng = np.random.default_rng(5)
    names = ["photos/a", "photos/b", "heldout/c", "heldout/d", "heldout/e", "heldout/f", "street/g", "street/h"]
    names += [
        f"{folder}/{side}/{folder}-{n}"
        for folder in ("pairs", "other_pairs")
        for side in ("input", "target")
        for n in (1, 2)
    ]
    for name in names:
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(20, 200, (10, 12, 3), dtype=np.uint8)
        picture = coarse.repeat(8, axis=0).repeat(8, axis=1)
        if "input" in name or "street" in name:
            for left in rng.integers(0, 90, 25):
                top = int(rng.integers(0, 60))
                picture[top : top + 20, left : left + 2] = 250
        Image.fromarray(picture).save(path)
    (tmp_path / "fitted.yaml").write_text("data: {photographs: x}\nsamples: 10\nmixture: [{preset: windy}]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# The plan.


def test_every_method_runs_with_every_source_target_and_seed_and_sources_once() -> None:
    runs = planned()
    expected = {f"source/{source}/seed-{seed}" for source in ("light", "heavy") for seed in (0, 1)}
    for method in METHODS[1:]:
        for source, target in PAIRS:
            if method != "supervised" or target in SUPERVISABLE:
                expected |= {f"{method}/{source}/{target}/seed-{seed}" for seed in (0, 1)}
    assert set(runs) == expected
    assert len({run.folder for run in runs.values()}) == len(runs)
    assert list(runs).index("fitted/light/heavy/seed-0") < list(runs).index("source/light/seed-1")


def test_what_goes_on_starts_from_the_source_network_of_its_seed_once_that_is_there(tmp_path: Path) -> None:
    runs = planned(out=tmp_path)
    run = runs["adapted/heavy/set/seed-1"]
    source = runs["source/heavy/seed-1"]
    assert (source.starts_from, source.config.network.start_weights, source.ready) == (None, None, True)
    assert run.starts_from == source.folder
    assert run.config.network.start_weights == str(source.folder / "weights.pt")
    assert not run.ready
    waiting = list(runs.values())
    first = [take_ready(waiting) for _ in range(4)]
    assert [one.name for one in first if one] == [name for name in runs if name.startswith("source/")]
    assert take_ready(waiting) is None
    source.folder.mkdir(parents=True)
    (source.folder / "result.json").write_text("{}")
    ready = take_ready(waiting)
    assert ready is not None
    assert ready.starts_from == source.folder  # type: ignore[attr-defined]


def test_runs_that_wait_for_none_of_the_study_are_a_fault_and_not_a_standstill(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="adapted/heavy/set/seed-1 waits for a run"):
        make_runs([planned(out=tmp_path)["adapted/heavy/set/seed-1"]], 1)


def test_a_method_learns_from_what_it_may_and_nothing_else() -> None:
    runs = planned()
    own = small_config().domains["heavy"].presets
    source, fitted, adapted, both, supervised = (
        runs[f"{name}/seed-0"].config for name in ("source/heavy", *(f"{method}/heavy/set" for method in METHODS[1:]))
    )
    assert (source.data.presets, source.steps, source.guard, source.unpaired) == (own, 4, None, None)
    assert adapted.data.presets == own
    assert {one.steps for one in (fitted, adapted, both, supervised)} == {3}

    # Fitted rain falls as often as the source's own, whatever the weights within them.
    shares = {part.preset: part.weight for part in fitted.data.presets}
    assert shares == pytest.approx({"heavy": 0.25, "violent": 0.75, "windy": 1.0})
    assert both.data.presets == fitted.data.presets
    assert (fitted.unpaired, supervised.unpaired) == (None, None)
    assert adapted.unpaired is not None and both.unpaired is not None
    assert (adapted.unpaired.photographs, adapted.unpaired.presets) == ("/study/rainy/set", own)
    assert (adapted.unpaired.batch_size, adapted.data.batch_size) == (1, 2)
    assert both.unpaired.presets == FITTED

    # The guard looks at the source's rain on photographs that are not measured; truth in the target has none.
    for one in (fitted, adapted, both):
        assert one.guard == small_config().adaptation.guard
        assert one.data.validation_shards == f"/study/domains/heavy/{GUARD}"
    assert (supervised.guard, supervised.data.photographs, supervised.data.pairs) == (None, None, "other_pairs")
    assert runs["supervised/light/heavy/seed-0"].config.data.presets == own


def test_pairs_to_measure_on_are_not_learned_from_not_even_their_rainy_sides() -> None:
    alone = {"pairs": "pairs"}
    domains = SMALL["domains"] | {"alone": alone, "known": alone | {"fitted": "fitted.yaml"}}
    config = small(domains=domains, targets=["heavy", "alone", "known"])
    rain = dict.fromkeys(("heavy", "known"), FITTED)
    runs = runs_of(config, Path("/study"), rain)
    assert not [run for run in runs if run.target == "alone"]
    assert {run.method for run in runs if run.target == "known"} == {"fitted"}  # to rain that the config names
    assert all("alone" in [one.domain for one in run.measured] for run in runs if run.method == "source")
    assert targets_to_fit(config) == ["heavy"]
    unpaired = {run.config.unpaired.photographs for run in runs if run.config.unpaired is not None}
    assert unpaired == {"/study/rainy/heavy"}


def test_source_networks_are_measured_everywhere_the_others_in_their_target_and_at_home() -> None:
    runs = planned()
    at = {name: [one.domain for one in runs[name].measured] for name in runs}
    assert at["source/light/seed-0"] == ["light", "heavy", "set", "street"]
    assert at["adapted/light/street/seed-1"] == ["street", "light"]
    measured = {one.domain: one for one in runs["source/light/seed-0"].measured}
    assert measured["heavy"].folder == Path(f"/study/domains/heavy/{MEASURED}")
    assert (measured["set"].folder, measured["street"].folder) == (Path("pairs"), Path("street"))
    assert [one.truth for one in measured.values()] == [True, True, True, False]


def test_rendered_domains_rain_on_the_same_photographs_that_are_split_for_the_guard() -> None:
    light, heavy = (rain_to_measure(small_config(), name) for name in ("light", "heavy"))
    assert (light.data, light.seed, light.split) == (heavy.data, heavy.seed, heavy.split)
    assert heavy.mixture == small_config().domains["heavy"].presets
    assert light.split is not None
    assert light.samples * light.split[MEASURED] >= 3


# Pictures.


def test_rainy_pictures_of_a_rendered_domain_are_made_once_and_are_not_clean(here: Path) -> None:
    config = small_config()
    write_rainy(config, "heavy", here / "out")
    folder = rainy_folder(config, "heavy", here / "out")
    made = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    assert len(made) == 3
    clean = [np.array(Image.open(path)) for path in sorted((here / "photos").iterdir())]
    for path in folder.iterdir():
        assert min(np.abs(np.array(Image.open(path)).astype(int) - one).mean() for one in clean) > 0.1
    write_rainy(config, "heavy", here / "out")
    assert {path.name: path.read_bytes() for path in sorted(folder.iterdir())} == made


def test_rainy_pictures_of_pairs_are_those_that_are_trained_on_and_photographs_are_their_own(here: Path) -> None:
    config = small_config()
    write_rainy(config, "set", here / "out")
    made = [np.array(Image.open(path)) for path in sorted(rainy_folder(config, "set", here / "out").iterdir())]
    inputs = [np.array(Image.open(path)) for path in sorted((here / "other_pairs" / "input").iterdir())]
    np.testing.assert_array_equal(made, inputs)
    assert rainy_folder(config, "street", here / "out") == Path("street")


def test_pictures_are_measured_by_their_middles_and_clean_ones_count_once(here: Path) -> None:
    shutil.copy(here / "pairs" / "target" / "pairs-1.png", here / "pairs" / "target" / "pairs-2.png")
    pairs = Measured(domain="set", folder=here / "pairs", truth=True, samples=2, crop_px=64, target="clean")
    whole = np.array(Image.open(here / "pairs" / "input" / "pairs-1.png"))
    first = next(iter(pairs))
    np.testing.assert_array_equal(first.rainy_srgb8, whole[8:72, 16:80])  # of 80 x 96 px
    assert len(list(pairs)) == 2
    assert len(clean_pictures(pairs)) == 1


# Figures, from made-up results.


def made_up(config: DomainStudy, out: Path, psnr_db: Callable[[DomainRun, str], float]) -> list[DomainRun]:
    """Finished runs: a network of `run` has PSNR-Y `psnr_db(run, domain)` in a domain; one had lost too much."""
    runs = list(by_name(config, out).values())
    for run in runs:
        domains = {}
        for one in run.measured:
            value = psnr_db(run, one.domain)
            rows = [
                {"psnr_y_rainy": 20.0, "psnr_y_derained": value + d, "ssim_y_rainy": 0.5, "ssim_y_derained": 0.8}
                for d in (-1, 1)
            ]
            if not one.truth:
                rows = [{"streak_energy_left": left, "rest_kept": 0.9} for left in (0.4, 0.6, None)]
            domains[one.domain] = rows
        ended = run.name == "adapted/light/set/seed-1"
        found = {
            "breach": "lost 0.30 dB on validation" if ended else "",
            "steps": 2 if ended else run.config.steps,
            "kept_fraction": 0.25 if ended else 1.0,
            "domains": domains,
            "clean_psnr_y_db": [40.0, 42.0],
        }
        run.folder.mkdir(parents=True)
        (run.folder / "result.json").write_text(json.dumps(found))
    return runs


GAINS = {"source": 0.0, "fitted": 0.5, "adapted": 1.0, "fitted+adapted": 1.5, "supervised": 2.0}


def ladder_db(run: DomainRun, domain: str) -> float:
    """Each method a little better than the one before, the same gain for every seed and target; a loss at home."""
    start = {"light": 34.0, "heavy": 28.0, "set": 25.0, "street": 0.0}[domain] + run.seed
    if run.method == "source":
        return start + (3.0 if domain == run.source else 0.0)
    return start + (2.9 if domain == run.source else GAINS[run.method])


def apart(config: DomainStudy) -> dict[tuple[str, str], Distance]:
    return {
        (one, other): Distance(value=float(place), shifts={name: float(k) for k, name in enumerate(STATISTICS)})
        for place, (one, other) in enumerate((a, b) for a in config.used for b in config.used if a != b)
    }


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    config = small_config()
    return find(config, made_up(config, tmp_path_factory.mktemp("study"), ladder_db), apart(config))


def test_figures_are_means_over_pictures_and_intervals_are_over_seeds(findings: Findings) -> None:
    cell = findings.cell("source", "light", "heavy")
    assert cell is not None
    np.testing.assert_allclose(cell.scores["psnr_y"], [28, 29])
    assert findings.inputs["heavy"] == {"psnr_y": 20.0, "ssim_y": 0.5}
    street = findings.cell("adapted", "light", "street")
    assert street is not None
    np.testing.assert_allclose(street.scores["streak_energy_left"], [0.5, 0.5])  # of pictures that have streaks
    home = findings.cell("adapted", "heavy", "heavy")  # is that of the source network
    assert home is not None
    np.testing.assert_allclose(home.scores["psnr_y"], [31, 32])
    # One value a seed, 28 and 29: mean 28.5, half an interval of 12.706 times sqrt(0.5) / sqrt(2).
    row = next(row for row in matrix_rows(findings, ("psnr_y",), truth=True) if row["network"] == "light, source")
    assert row["heavy"] == "28.50 ± 6.35"


def test_gains_are_paired_by_seed_so_that_what_a_seed_brings_falls_out(findings: Findings) -> None:
    rows = {row["from, to"]: row for row in gain_rows(findings)}
    assert set(rows) == {"light to heavy", "light to set", "heavy to set", "mean"}
    assert rows["light to heavy"]["adapted"] == "+1.00 (+1.00 to +1.00)"
    assert {name: judged.verdict for name, judged in findings.judgements.items()} == dict.fromkeys(
        METHODS[1:], "better"
    )
    assert findings.regained("adapted") == pytest.approx(0.5)
    assert findings.regained("fitted+adapted") == pytest.approx(0.75)


def test_where_nothing_goes_on_there_is_no_gain_to_tell(tmp_path: Path) -> None:
    domains = SMALL["domains"] | {"alone": {"pairs": "pairs"}}
    config = without_fits(domains=domains, targets=["heavy", "alone"])
    found = find(config, made_up(config, tmp_path, lambda run, domain: 20.0), apart(config))
    assert [row["from, to"] for row in gain_rows(found)] == ["light to heavy", "mean"]
    assert set(found.drops) == {("light", "heavy")}
    row = next(row for row in matrix_rows(found, ("psnr_y",), truth=True) if row["network"] == "light, source")
    assert row["alone"] == "20.00 ± 0.00"


def test_what_going_on_costs_at_home_and_the_guards_word_stand_beside_the_gain(findings: Findings) -> None:
    rows = {row["from, to"]: row for row in kept_rows(findings)}
    assert rows["light to set, adapted"]["own domain [dB]"] == "-0.10 (-0.10 to -0.10)"
    assert rows["light to set, adapted"]["guard"] == "went back in 1 of 2, after 2 steps, to 25%"
    assert rows["light to heavy, adapted"]["guard"] == "held"
    assert rows["light to heavy, supervised"]["guard"] == "none"


def test_the_drop_is_taken_from_supervised_training_and_else_from_home(findings: Findings, tmp_path: Path) -> None:
    assert {place: drop.mean for place, (_, drop) in findings.drops.items()} == pytest.approx(
        {("light", "heavy"): 2, ("light", "set"): 2, ("heavy", "set"): 2}
    )
    assert findings.rank_correlation is None  # three pairs of domains are too few
    config = small(methods=["source", "adapted"])
    without = find(config, made_up(config, tmp_path / "b", ladder_db), apart(config))
    # 34 + 3 at home against 28 and 25; 28 + 3 against 25.
    assert {place: drop.mean for place, (_, drop) in without.drops.items()} == pytest.approx(
        {("light", "heavy"): 9, ("light", "set"): 12, ("heavy", "set"): 6}
    )
    assert without.regained("adapted") is None


def test_with_enough_pairs_of_domains_the_rank_correlation_is_told(tmp_path: Path) -> None:
    names = ("light", "heavy", "windy")
    domains = {name: {"presets": [{"preset": name}]} for name in names}
    config = without_fits(domains=domains, sources=list(names), targets=list(names))
    order = [(a, b) for a in names for b in names if a != b]

    def falling_db(run: DomainRun, domain: str) -> float:
        return 30.0 if run.method != "source" or run.source == domain else 30.0 - order.index((run.source, domain))

    found = find(config, made_up(config, tmp_path, falling_db), apart(config))
    assert len(found.drops) == 6
    assert found.rank_correlation == pytest.approx(1)


def test_the_report_shows_the_figures_on_one_page_and_nothing_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_strips(path: Path, *_: object) -> None:
        Image.new("RGB", (9, 9)).save(path)  # there are no weights to derain with

    monkeypatch.setattr("pipelines.domains.report.draw_strips", no_strips)
    config = small(train=SMALL["train"] | {"data": SMALL["train"]["data"] | {"photographs": str(tmp_path / "photos")}})
    runs = made_up(config, tmp_path, ladder_db)
    write_report(config, find(config, runs, apart(config)), runs, tmp_path)
    figures = json.loads((tmp_path / "figures.json").read_text())
    cell = figures["methods"]["adapted"]["light"]["set"]
    assert cell["psnr_y"]["by_seed"] == [26.0, 27.0]
    assert cell["guard"] == ["", "lost 0.30 dB on validation"]
    assert figures["study"]["train"]["data"]["photographs"] == "photos"
    page, words = ((tmp_path / name).read_text() for name in ("report.html", "report.md"))
    for name in ("matrix_psnr_y", "matrix_ssim_y", "gains", "drops", "pictures_light", "pictures_heavy"):
        assert f"({name}.png)" in words
        assert Image.open(tmp_path / f"{name}.png").width <= 1200
    assert page.count("data:image/png;base64,") == 6
    assert not re.search(r"https?:|src=\"(?!data:)", page)
    for text in (page, words):
        assert "adapted: better than source. Mean gain +1.00 (+1.00 to +1.00) dB over 3 pairs of domains" in text
        assert "It has 50 % of what truth would gain." in text
        assert "3 pairs of domains are too few" in text
        assert "1 of the runs that the guard looked at had lost too much" in text
        assert str(tmp_path) not in text


# What is refused.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["domains.x={}"], "a domain must have exactly one of presets, pairs, photographs, got none"),
        (["domains.x={pairs: a, photographs: b}"], "a domain must have exactly one of .* got pairs and photographs"),
        (["domains.x={presets: []}"], "presets of a domain must name at least one"),
        (["domains.x={photographs: a, train_pairs: b}"], "train_pairs must go with pairs"),
        (["domains.x={pairs: a, train_pairs: a}"], "train_pairs must be other pairs than pairs, got 'a' for both"),
        (["domains.x={pairs: a, train_pairs: b}"], "domains.x.train_pairs must go with train.data.target clean"),
        (["domains={a b: {pairs: x}}"], "domains must be named by .*got 'a b'"),
        (["domains.light={presets: [{preset: hevy}]}"], "preset must be one of .*got 'hevy'"),
        (["domains.light.weight=2"], "domains.light.weight must be a known key"),
        (["sources=[misty]"], "sources must be one of light, heavy, .*got 'misty'"),
        (["sources=[light, light]"], "sources must name one or more of .*each once"),
        (["targets=[]"], "targets must name one or more of"),
        (["domains.x={pairs: a}", "sources=[x]"], "sources must be domains with presets, got 'x'"),
        (["sources=[light]", "targets=[light]"], r"targets must have a domain besides the source, got \['light'\]"),
        (["methods=[adapted]"], "methods must have source, which others are compared with"),
        (["methods=[source, finetuned]"], "methods must be one of source, fitted, .*got 'finetuned'"),
        (["domains.x={photographs: a}", "targets=[x]"], "supervised must have a target with presets or train_pairs"),
        (
            ["domains.x={pairs: a}", "targets=[x]", "methods=[source, adapted]"],
            "adapted must have a target with presets, photographs or train_pairs, got none",
        ),
        (["adaptation.unpaired_batch_size=0"], "adaptation.unpaired_batch_size must be between 1"),
        (["seeds=1"], "seeds must be between 2 and 1000, got 1"),
        (["train.seed=3"], "train.seed must be left out of a study, got 3. See seeds"),
        (["train.data.presets=[{preset: heavy}]"], "train.data.presets must be left out .* See domains"),
        (["train.guard={lost_db: 1}", "train.data.validation_pairs=x", "train.data.target=clean"], "must be left out"),
        (["train.data.photographs=null", "train.data.shards=x"], "train.data must have photographs in a study of"),
        (["adaptation.steps=0"], "adaptation.steps must be between 1"),
        (["adaptation.ema_decay=0"], "adaptation.ema_decay must be between .*The running mean is the teacher"),
        (["evaluation.crop_px=32"], "evaluation.crop_px must be between 64"),
        (["epochs=3"], "epochs must be a known key"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_wrong_config_is_refused_in_one_line(settings: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_config(DomainStudy, CONFIG, settings)
    assert "\n" not in str(caught.value)


def test_the_config_of_the_repository_loads_and_opens_with_its_command() -> None:
    config = load_config(DomainStudy, CONFIG)
    assert len(config.pairs) >= FEWEST_PAIRS  # of which a rank correlation is told
    assert "rainsynth study domain configs/study/domain.yaml" in CONFIG.read_text().splitlines()[1]


def test_a_picture_that_is_trained_on_and_measured_is_refused(
    here: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    (here / "study.yaml").write_text(yaml.safe_dump(SMALL))
    check_material(small_config())
    shutil.copy(here / "other_pairs" / "target" / "other_pairs-2.png", here / "pairs" / "target" / "pairs-1.png")
    code, _, error = run("study", "domain", "study.yaml", "--out", "out")
    assert code == 2
    assert error.startswith("rainsynth: domains.set.pairs must be pictures that are not trained on, got pairs-1")
    assert error.count("\n") == 1
    assert not (here / "out").exists()
    shutil.copy(here / "photos" / "a.png", here / "heldout" / "z.png")
    with pytest.raises(InputError, match=r"evaluation must have photographs that are not trained on, got z\.png"):
        check_material(small_config())


def test_rain_that_is_to_be_fitted_is_refused_where_nothing_fits_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pipelines.fit_config", None)  # as where there is no such module
    with pytest.raises(InputError, match=r"^domains\.heavy\.fitted must name a config of rain") as caught:
        check_fits(small_config())
    assert "\n" not in str(caught.value)
    domains = SMALL["domains"] | {"heavy": SMALL["domains"]["heavy"] | {"fitted": "fitted.yaml"}}
    check_fits(small(domains=domains))
    check_fits(without_fits())
    (here / "fitted.yaml").write_text("mixture: [{preset: hevy}]\nsamples: 1\n")
    with pytest.raises(InputError, match="got 'hevy'"):
        check_fits(small(domains=domains))


def test_rain_is_fitted_once_where_the_config_names_none(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fit_to(rainy: Path, photographs: Path, path: Path, workers: int) -> None:
        asked.append(rainy)
        path.parent.mkdir(parents=True)
        shutil.copy(here / "fitted.yaml", path)

    monkeypatch.setattr(domain_study, "fit_to", fit_to)
    for _ in range(2):
        rain = fits_of(small_config(), here / "out", 1)
    assert asked == [here / "out" / "rainy" / "heavy"]
    assert {name: parts[0].preset for name, parts in rain.items()} == dict.fromkeys(("heavy", "set", "street"), "windy")
    assert fits_of(without_fits(), here / "out", 1) == {}


# The whole of it.


@pytest.mark.slow
def test_a_study_with_every_method_runs_is_resumed_and_tells_the_same(here: Path) -> None:
    domains = SMALL["domains"] | {"heavy": SMALL["domains"]["heavy"] | {"fitted": "fitted.yaml"}}
    fewer = {"domains": domains, "sources": ["light"], "targets": ["heavy", "street"]}
    (here / "study.yaml").write_text(yaml.safe_dump(SMALL | fewer))

    def command(*words: str) -> int:
        words = (sys.executable, "-m", "pipelines.main", "study", "domain", "study.yaml", "--out", "out", *words)
        return subprocess.run(words, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False).returncode

    assert command() == 0
    figures = json.loads((here / "out" / "figures.json").read_text())
    assert set(figures["methods"]) == set(METHODS)
    assert 0 <= figures["methods"]["adapted"]["light"]["street"]["rest_kept"]["mean"] <= 1
    before = (here / "out" / "figures.json").read_bytes()
    shutil.rmtree(here / "out" / "runs" / "adapted" / "light" / "street" / "seed-1")
    assert command("--resume") == 0
    assert (here / "out" / "figures.json").read_bytes() == before
    assert command() == 2  # a folder that is not empty


def test_a_study_of_another_config_is_not_gone_on_with(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "out").mkdir()
    domain_study.begin(without_fits(), here / "out")
    with pytest.raises(InputError, match=r"^seeds must be 2 to resume .*, got 3\."):
        study_domains(without_fits(seeds=3), here / "out", workers=1, resume=True)
