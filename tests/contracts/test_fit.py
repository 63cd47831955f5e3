"""`rainsynth fit`: a config that generates and trains, the same whatever the workers, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from mspfn.data_config import DataConfig
from pipelines.config import build_config, load_config
from pipelines.fit import Fit, FitOptions, choose, directions_of, first_search, fit, within
from pipelines.fit_camera import NOTHING_KNOWN, camera_of, camera_of_file, exif_camera, given_camera
from pipelines.fit_config import choice_of_fit, config_text, part_of_fit, rows_of_fit
from pipelines.fit_depth import depth_of
from pipelines.fit_families import RANGES_OF, Number, layer_findings
from pipelines.fit_kinds import (
    DIRECTIONS,
    KINDS,
    MOVES,
    Kinds,
    drawn_findings,
    likely_numbers,
    moved,
    pictures_drawn,
    shift_of,
)
from pipelines.fit_layers import pictures_known, take_layers
from pipelines.fit_match import (
    Effort,
    layers_all_over,
    matched_kinds,
    matched_search,
    middle_columns,
    row_of,
    wanted_layers,
)
from pipelines.fit_missed import add_missed, laid_over, rain_at
from pipelines.fit_pictures import LONGEST_SIDE_PX, clean_like, look_at, survey_rainy
from pipelines.fit_report import untold_line, write_report
from pipelines.fit_rounds import Setting, Simulated, simulate, statistics_of
from pipelines.fit_statistics import NETWORK
from pipelines.fit_taking import Taking
from pipelines.generate_config import GenerateConfig
from rainsynth import recompose
from rainsynth.checks import InputError
from rainsynth.lookalikes import LineKind, LineRain
from rainsynth.measure.population import regress
from rainsynth.named_rain import render_preset
from rainsynth.pictures import read_photo, write_picture
from rainsynth.scene.background import Background
from rainsynth.seeding import ORDER_STREAM, sample_rng

SHORT = Effort(pictures=24, library=120, near=120)
SMALL = FitOptions(family="lines", pictures=(40, 30), seed=3)
RAIN = {"direction_deg": [11, 13], "length_px": 35, "width_px": 1.6, "level_codes": 60, "layer_coverage_fraction": 0.25}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, bundled_photo: np.ndarray) -> tuple[Path, tuple[Path, ...]]:
    """Twelve rainy windows of 80 px of the left half of a photograph, and six clean ones of its right half."""
    folder = tmp_path_factory.mktemp("fit")
    rain, rng = LineRain(kinds=(LineKind(ranges=RAIN),)).look_alike, np.random.default_rng(0)
    for number in range(12):
        top, left = rng.integers(380), rng.integers(140)
        window = np.ascontiguousarray(bundled_photo[top : top + 80, left : left + 80])
        sample = render_preset(Background(window), rain, seed=1, index=number)
        write_picture(folder / "rainy" / f"{number:02d}.png", sample.rainy_srgb8)
    for number in range(6):
        top, left = rng.integers(380), 256 + rng.integers(120)
        write_picture(folder / "clean" / f"{number}.png", bundled_photo[top : top + 90, left : left + 90])
    return folder / "rainy", tuple(sorted((folder / "clean").iterdir()))


@pytest.fixture(scope="module")
def fitted(folders: tuple[Path, tuple[Path, ...]]) -> Fit:
    return fit(*folders, SMALL)


def test_a_fit_is_a_config_that_generates_and_trains(fitted: Fit, tmp_path: Path) -> None:
    (tmp_path / "fitted.yaml").write_text(config_text(fitted, "rainsynth fit rainy -o fitted.yaml", 12))
    config = load_config(GenerateConfig, tmp_path / "fitted.yaml", samples=3)
    (part,) = config.mixture
    assert part.label.startswith("lines-")
    sample = render_preset(Background(np.full((90, 90, 3), 60, np.uint8)), part.family, seed=0, name=part.label)
    assert sample.parameters["coverage_fraction"] > 0.02
    mixture = yaml.safe_load((tmp_path / "fitted.yaml").read_text())["mixture"]
    assert build_config(DataConfig, {"photographs": "x", "presets": mixture}, "test").presets == (part,)


def test_a_config_has_kinds_for_each_photograph_within_the_limits_of_every_number(fitted: Fit) -> None:
    kinds = part_of_fit(fitted)["lines"]["kinds"]
    titles = [kind["title"] for kind in kinds]
    assert titles == sorted(titles)
    assert {titles.count(f"as {number:02d}.png") for number in range(12)} == {KINDS // 12}
    assert sum(kind["share_fraction"] for kind in kinds) == pytest.approx(1)
    for name, number in RANGES_OF["lines"].items():
        values = [kind["ranges"].get(name, number.low) for kind in kinds]
        assert number.low <= min(values) + 0.5 * (name == "layer_count")
        assert max(values) <= number.high * 1.0001
    directions_deg = [kind["ranges"]["direction_deg"] for kind in kinds]
    # Of so few and small pictures the mean is known to some degrees, and not the same ones on every processor.
    assert np.mean(directions_deg) == pytest.approx(fitted.found.mean[fitted.place("direction_deg")], abs=8)


@given(st.integers(1, 12), st.integers(0, 100))
def test_two_sorts_of_pictures_stay_two_sorts(photographs: int, seed: int) -> None:
    # Each number is half of one sort and half of the other, and both go together; a mean and a spread would mix them.
    rng = np.random.default_rng(seed)
    sort = np.repeat([-1.0, 1.0], 200)
    numbers = np.stack([sort, -sort], axis=1) * 3 + 0.3 * rng.standard_normal((400, 2))
    regression = regress(numbers + 0.1 * rng.standard_normal((400, 2)), numbers)
    sorts = rng.choice([-1.0, 1.0], photographs)
    for found, own in zip(regression.estimates(np.stack([sorts, -sorts], axis=1) * 3), sorts, strict=True):
        likely = likely_numbers(regression, found, 10)
        assert likely.shape == (10, 2)
        np.testing.assert_allclose(likely, np.broadcast_to([3 * own, -3 * own], (10, 2)), atol=1)


def test_kinds_are_moved_alike_until_they_draw_what_was_found(fitted: Fit) -> None:
    # From kinds whose streaks are half as bright, and half as long again, as what is asked for.
    names, kinds = list(fitted.search.ranges), fitted.kinds
    assert kinds is not None
    shift, calls = shift_of(fitted.regression, fitted.search.ranges), []
    wanted = drawn_findings(fitted.setting, fitted.search, kinds, map, calls.append).mean(axis=0)
    off = np.zeros(len(names))
    off[names.index("level_codes")], off[names.index("length_px")] = np.log(0.5), np.log(1.5)
    other = replace(kinds, numbers=kinds.numbers + off)

    def missing(of: Kinds) -> np.ndarray:
        return np.abs(wanted - drawn_findings(fitted.setting, fitted.search, of, map, calls.append).mean(axis=0))

    made = moved(fitted.setting, fitted.search, other, shift, wanted, map, calls.append)
    assert sum(calls) == pictures_drawn(12) * (MOVES + 2) // (MOVES + 1)  # what is wanted, then the moves
    assert missing(other)[2] > 0.3  # level of what is covered, as a logarithm
    assert missing(made).max() < 0.1
    off = made.numbers - other.numbers
    np.testing.assert_allclose(off, np.broadcast_to(off[0], off.shape), atol=1e-9)
    assert not off[:, [names.index(name) for name in DIRECTIONS if name in names]].any()


def test_a_network_that_is_not_there_is_told_before_anything_is_simulated(
    folders: tuple[Path, tuple[Path, ...]],
) -> None:
    with pytest.raises(InputError, match=r"weights must be the path of a file or a bundled name"):
        fit(*folders, replace(SMALL, network="nowhere.pt"))


def test_the_network_that_sees_the_streaks_is_part_of_the_fit(
    folders: tuple[Path, tuple[Path, ...]], fitted: Fit
) -> None:
    setting = replace(fitted.setting, network="mspfn-realtime")
    seen = statistics_of(setting, fitted.search, setting.rainy[0].seen())
    by_default = statistics_of(fitted.setting, fitted.search, setting.rainy[0].seen())
    assert seen.keys() == by_default.keys()
    changed = {name for name in seen if seen[name] != by_default[name]}
    assert changed
    assert all(name.startswith("layer_") for name in changed)


def test_a_fit_finds_the_direction_and_the_width_of_bright_lines(fitted: Fit) -> None:
    # Twelve small windows and 70 simulations: docs/fit.md has the accuracy of whole fits.
    assert directions_of(fitted.setting.rainy)[0] == pytest.approx(12, abs=1)
    low, high = fitted.search.ranges["direction_deg"].limits
    assert low < 12 < high
    assert 0.5 < np.exp(fitted.found.mean[fitted.place("width_seen_px")]) / 2.1 < 2
    rows = {row["number"]: row for row in rows_of_fit(fitted)}
    assert {"coverage_fraction", "length_seen_px", "direction_deg"} <= set(rows)
    assert rows["length_log_sd"]["told"] == "not told by itself"


def test_the_last_round_is_of_the_likelier_blend_alone(fitted: Fit) -> None:
    blends = fitted.search.ranges["screen"]
    assert blends.low == blends.high == float(fitted.blend == "screen")
    mixed = np.array([0.2, 0.7, 0.0, 1.0])
    numbers = np.stack([mixed if name == "screen" else np.zeros(4) for name in fitted.search.ranges], axis=1)
    rows = within(Simulated(statistics=numbers, numbers=numbers), fitted.search).numbers
    assert len(rows) == 2
    drawn = rows[:, list(fitted.search.ranges).index("screen")]
    assert np.all((drawn > 0.5) == (fitted.blend == "screen"))


def test_a_fit_follows_from_the_seed(folders: tuple[Path, tuple[Path, ...]], fitted: Fit) -> None:
    quick = replace(SMALL, pictures=(20,))
    one, again = (part_of_fit(fit(*folders, quick)) for _ in range(2))
    assert one == again
    assert part_of_fit(fit(*folders, replace(quick, seed=4))) != one


@pytest.mark.slow
def test_any_number_of_workers_makes_the_same_fit(folders: tuple[Path, tuple[Path, ...]]) -> None:
    quick = replace(SMALL, pictures=(20,))
    np.testing.assert_array_equal(fit(*folders, quick).found.mean, fit(*folders, replace(quick, workers=2)).found.mean)


def test_a_report_shows_photographs_and_the_fit(fitted: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.fit_report.PICTURES", 4)
    differences = write_report(tmp_path, fitted)
    assert np.isfinite(list(differences.values())).all()
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "pictures.png", "statistics.png"}
    text = (tmp_path / "report.html").read_text()
    assert "length_seen_px" in text
    assert "not told by itself" in text


def test_every_family_is_simulated_with_every_number_they_have(folders: tuple[Path, tuple[Path, ...]]) -> None:
    rainy = tuple(survey_rainy(folders[0], 0))
    setting = Setting(rainy=rainy, backgrounds=folders[1], depths={}, camera=NOTHING_KNOWN, seed=0, network=NETWORK)
    for family, ranges in RANGES_OF.items():
        search = first_search(family, NOTHING_KNOWN, 0.0, 30.0)
        statistics, numbers = simulate(setting, search, 5)
        assert np.isfinite(statistics).all()
        assert len(numbers) > len(ranges)
        again = simulate(setting, search, 5)
        np.testing.assert_array_equal(again[0], statistics)
        np.testing.assert_array_equal(again[1], numbers)


def test_the_likeliest_of_three_families_is_chosen() -> None:
    rng = np.random.default_rng(5)
    middles = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    families = [Simulated(statistics=rng.normal(middle, 1, (60, 2)), numbers=np.zeros((60, 1))) for middle in middles]
    for number, middle in enumerate(middles):
        chosen, odds = choose(families, rng.normal(middle, 1, (12, 2)))
        assert chosen == number
        assert odds > 10
    assert np.isnan(choose(families[:1], rng.normal(0, 1, (12, 2)))[1])


def test_a_fit_of_noise_is_a_config_of_noise(folders: tuple[Path, tuple[Path, ...]]) -> None:
    part = part_of_fit(fit(*folders, replace(SMALL, family="noise", pictures=(20,))))
    assert part["lines"]["streaks"] == "noise"
    (choice,) = build_config(DataConfig, {"photographs": "x", "presets": [part]}, "test").presets
    assert choice.label.startswith("lines-")


def test_exif_tells_exposure_and_field_of_view_and_what_is_given_goes_before_it(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(3)]
    for path, exposure_s, orientation in zip(paths, (1 / 500, 1 / 250, 1 / 125), (1, 3, 1), strict=True):
        write_jpeg(path, (300, 200), orientation, ExposureTime=exposure_s, FocalLengthIn35mmFilm=50)
    camera = exif_camera(paths)
    assert camera.exposure_s == pytest.approx((1 / 500, 1 / 125), rel=1e-4)
    # A picture of 3:2 is 36 mm wide on full frame, so 2 atan(18 / 50).
    assert camera.field_of_view_deg == pytest.approx((39.598, 39.598), abs=1e-3)
    search = first_search("physical", camera_of(given_camera(20.0, None), paths), 0.0, 30.0)
    assert search.ranges["field_of_view_deg"].limits == pytest.approx((np.log(20), np.log(20)))
    assert search.ranges["exposure_s"].limits == pytest.approx((np.log(1 / 500), np.log(1 / 125)), rel=1e-4)


def test_a_photograph_on_its_side_has_the_field_of_view_of_its_short_side(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg", (300, 200), 6, FocalLengthIn35mmFilm=50)
    assert camera_of_file(tmp_path / "a.jpg")[0] == pytest.approx(2 * np.degrees(np.arctan(12 / 50)), abs=1e-3)


def test_exif_that_is_missing_or_zero_in_one_photograph_tells_nothing(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg", (300, 200), 1, ExposureTime=0.01, FocalLengthIn35mmFilm=50)
    write_jpeg(tmp_path / "b.jpg", (300, 200), 1, ExposureTime=0.01, FocalLengthIn35mmFilm=0)
    assert exif_camera([tmp_path / "a.jpg", tmp_path / "b.jpg"]).ends().keys() == {"exposure_s"}
    write_jpeg(tmp_path / "c.jpg", (300, 200), 1)
    assert exif_camera([tmp_path / "a.jpg", tmp_path / "c.jpg"]) == NOTHING_KNOWN


def test_a_fit_of_physical_rain_takes_the_camera_from_exif(
    folders: tuple[Path, tuple[Path, ...]], tmp_path: Path
) -> None:
    exif = exif_of(ExposureTime=1 / 500, FocalLengthIn35mmFilm=50)
    for path in sorted(folders[0].iterdir()):
        Image.open(path).save(tmp_path / f"{path.stem}.jpg", quality=95, exif=exif)
    found = fit(tmp_path, folders[1], replace(SMALL, family="physical", pictures=(20,)))
    # A square picture is 43.27 / sqrt 2 mm wide on full frame.
    ranges = part_of_fit(found)["ranges"]
    assert ranges["exposure_s"] == pytest.approx([1 / 500, 1 / 500], rel=1e-3)
    assert ranges["field_of_view_deg"] == pytest.approx([34.02, 34.02], rel=1e-3)
    assert "exposure_s 0.002" in config_text(found, "rainsynth fit rainy -o fitted.yaml", 12)


def write_jpeg(path: Path, size: tuple[int, int], orientation: int, **details: float) -> None:
    """A black JPEG with these tags of EXIF."""
    exif = exif_of(**details)
    exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", size).save(path, exif=exif)


def exif_of(**details: float) -> Image.Exif:
    """These tags of EXIF's own table."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base[name]: value for name, value in details.items()})
    return exif


def test_the_likelier_of_two_families_is_chosen() -> None:
    rng = np.random.default_rng(0)
    sides = [Simulated(statistics=rng.normal(at, 1, (200, 3)), numbers=np.zeros((200, 1))) for at in (0, 1)]
    for side in (0, 1):
        chosen, odds = choose(sides, rng.normal(side, 1, (30, 3)))
        assert chosen == side
        assert odds > 5
    assert choose(sides[:1], rng.normal(0, 1, (30, 3)))[0] == 0


def test_a_number_is_drawn_evenly_or_around_its_mean_within_its_limits() -> None:
    rng = np.random.default_rng(0)
    number = Number(low=1, high=100, scale="logarithmic")
    assert np.mean(number.draw(rng, 2000)) == pytest.approx(np.log(10), abs=0.1)
    near = replace(number, mean=np.log(90), sd=0.5).draw(rng, 500)
    assert near.max() <= np.log(100)
    assert near.min() > np.log(10)
    assert number.from_scale(99.0) == 100


def test_what_is_measured_of_a_layer_is_that_of_its_streaks() -> None:
    layer = np.zeros((200, 200), np.float32)
    for x in range(5, 200, 40):
        layer[60:100, x : x + 3] = 50  # 3 px wide, 40 px long
    layer[layer == 0] = 6  # seen by nobody
    found = layer_findings(layer)
    assert found["coverage_fraction"] == pytest.approx(np.mean(layer > 10))
    assert found["width_seen_px"] == pytest.approx(3, rel=0.05)
    assert found["length_seen_px"] == pytest.approx(40, rel=0.1)
    assert found["level_seen_codes"] == 50
    assert found["mean_streak_codes"] == pytest.approx(layer.mean())


def test_backgrounds_are_made_like_the_photographs(folders: tuple[Path, tuple[Path, ...]]) -> None:
    rainy = look_at(Path("a.png"), (100, 150), 0, 0)
    clean = clean_like(rainy, folders[1], np.random.default_rng(0))
    assert clean.shape == (100, 150, 3)
    assert rainy.window[2:] == (100, 100)


def test_backgrounds_of_the_photographs_size_keep_every_pixel(tmp_path: Path) -> None:
    clean = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    write_picture(tmp_path / "a.png", clean)
    rainy = look_at(Path("b.png"), (90, 120), 0, 0)
    found = clean_like(rainy, (tmp_path / "a.png",), np.random.default_rng(2))
    before, after = (np.abs(np.diff(one.astype(float), axis=1)).mean() for one in (clean, found))
    assert after > 0.8 * before  # only brighter or darker; enlarged by a tenth it would be 0.53


def test_large_photographs_are_looked_at_scaled_down(tmp_path: Path) -> None:
    for number in range(10):
        write_picture(tmp_path / f"{number}.png", np.zeros((140, 2 * LONGEST_SIDE_PX, 3), np.uint8))
    first = survey_rainy(tmp_path, 0)[0]
    assert (first.height_px, first.width_px) == (70, LONGEST_SIDE_PX)
    assert first.seen().shape == (70, 70, 3)


def test_depth_of_the_photographs_is_a_number_or_a_map_of_each(tmp_path: Path) -> None:
    rainy = look_at(tmp_path / "photos" / "a.png", (80, 100), 0, 0)
    write_picture(rainy.path, np.zeros((80, 100, 3), np.uint8))
    (tmp_path / "depth").mkdir()
    np.save(tmp_path / "depth" / "a.npy", np.full((80, 100), 7, np.float32))
    maps, number = depth_of(str(tmp_path / "depth")), depth_of("12.5")
    assert maps is not None
    assert number is not None
    assert (np.asarray(maps(rainy)) == 7).all()
    assert number(rainy) == 12.5
    assert depth_of("") is None
    (tmp_path / "depth" / "a.npy").unlink()
    with pytest.raises(InputError, match=r"--depth must hold a map of every photograph, got none of a\.png"):
        maps(rainy)


def test_streaks_are_taken_off_every_photograph_and_most_of_the_rain_is_theirs(
    fitted: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_by_another = replace(fitted, setting=replace(fitted.setting, network="mspfn-realtime"))
    rains = []
    monkeypatch.setattr(
        "pipelines.fit_layers.pictures_known", lambda *job: rains.append(job[1]) or pictures_known(*job)
    )
    made = take_layers(seen_by_another, tmp_path / "seen", SHORT)
    assert rains[0] == choice_of_fit(fitted).family
    assert rains[1] not in (rains[0], choice_of_fit(made).family)  # kinds of the first turn tell what the second sees
    layers = {path.name: read_photo(path)[..., 0] for path in (tmp_path / "seen").iterdir()}
    assert sorted(layers) == [f"{number:04d}_{number:02d}_{n}.png" for number in range(12) for n in range(9)]
    assert np.mean([np.mean(layer > 10) for layer in layers.values()]) > 0.02
    (tmp_path / "f.yaml").write_text(config_text(made, "rainsynth fit", 12, tmp_path / "seen"))
    config = load_config(GenerateConfig, tmp_path / "f.yaml")
    assert [part.weight for part in config.mixture] == [1, 3]
    assert made.kinds is not None
    assert made.kinds.matched
    assert "matched to the streaks in" in (tmp_path / "f.yaml").read_text()
    assert "like the streaks taken off" in untold_line(made)
    assert "like the streaks taken off" not in untold_line(fitted)
    drawn = config.mixture[0].lines
    assert drawn is not None
    assert drawn.side_margin_px == 0
    assert {"inside_top_fraction", "inside_bottom_fraction", "layer_screened_fraction"} <= set(drawn.kinds[0].ranges)
    sample = render_preset(Background(np.zeros((40, 40, 3), np.uint8)), config.mixture[1].family, seed=0, name="x")
    assert sample.parameters["kind"] in layers
    assert (recompose(sample) == sample.rainy_srgb8).all()
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(InputError, match=r"--layers must be a new or empty folder, got '.*seen'"):
        take_layers(seen_by_another, tmp_path / "seen", SHORT)


def test_the_verb_writes_layers_and_a_config_that_draws_from_them(
    run: Callable[..., tuple[int, str, str]], fitted: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.fit.fit", lambda *_: fitted)
    monkeypatch.setattr("pipelines.fit_match.QUICK_EFFORT", SHORT)
    monkeypatch.chdir(tmp_path)
    words = ["fit", "rainy", "-o", "f.yaml", "--family", "lines", "--layers", "seen", "--quick", "--workers", 1]
    code, _, told = run(*words, "--backgrounds", fitted.setting.backgrounds[0].parent)
    assert (code, told.count("Traceback")) == (0, 0)
    assert len(list((tmp_path / "seen").iterdir())) == 108
    taken = load_config(GenerateConfig, tmp_path / "f.yaml").mixture[1].lines
    assert taken is not None
    assert taken.layers == "seen"


def test_what_a_network_misses_of_streaks_is_laid_beside_what_it_takes_off(
    fitted: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Streaks lie on black, and the network takes off half of them, and nothing else.
    monkeypatch.setattr("pipelines.fit_taking.Taking.layer", lambda _, picture: picture[..., 0] / 2)
    monkeypatch.setattr("pipelines.fit_rounds.clean_like", lambda *_: np.zeros((80, 80, 3), np.uint8))
    files = [[tmp_path / f"{place}_{variant}.png" for variant in range(9)] for place in range(12)]
    taken = np.zeros((80, 80, 3), np.uint8)
    taken[:40] = 60
    taken[0, 0] = (99, 99, 255)  # blue: what is there is not known
    for first, *_ in files:
        write_picture(first, taken)
    add_missed(fitted, Taking(network="none", blend="additive"), files, map)
    for place, paths in enumerate(files):
        made = [read_photo(path).astype(int) for path in paths]
        assert all(picture[0, 0, 2] == 255 for picture in made)
        missed = [picture[..., 0] - taken[..., 0] for picture in made]
        assert all(one.min() >= 0 for one in missed)
        assert not np.array_equal(missed[0], missed[1])
        sample = render_preset(
            Background(np.zeros((80, 80, 3), np.uint8)),
            rain_at(fitted, place),
            name="fitted",
            seed=fitted.setting.seed,
            index=9_000_000 + 9 * place,
        )
        assert np.abs(missed[0] - sample.rainy_srgb8[..., 0] / 2)[0, 1:].max() <= 0.5
        for number in range(3, 9):  # half of an earlier layer, moved about
            rng = sample_rng(fitted.setting.seed, 9_000_000 + 9 * place + number, ORDER_STREAM)
            moved_about = np.roll(made[number - 3], rng.integers((80, 80)), axis=(0, 1))
            unknown = moved_about[..., 2] != moved_about[..., 0]
            assert (missed[number][unknown] == 0).all()
            known = ~unknown
            known[0, 0] = False
            assert np.abs(missed[number] - moved_about[..., 0] / 2)[known].max() <= 0.5


def test_layers_are_laid_over_photographs_as_the_config_blends_them() -> None:
    clean, codes = np.full((8, 8, 3), 100, np.uint8), np.full((8, 8), 51, np.uint8)
    assert (laid_over(clean, codes, "additive") == 151).all()
    assert (laid_over(clean, codes, "screen") == 100 + 51 - 20).all()
    assert (laid_over(clean, np.full((8, 8), 200, np.uint8), "additive") == 255).all()


def test_the_rain_of_a_photograph_is_of_its_own_kinds_or_of_all(fitted: Fit) -> None:
    assert fitted.kinds is not None
    assert fitted.kinds.places.count(3) == 10
    without = replace(fitted, kinds=replace(fitted.kinds, places=(0,) * len(fitted.kinds.places)))
    assert rain_at(without, 3) == choice_of_fit(without).family
    assert rain_at(fitted, 3) != rain_at(fitted, 4)


def test_kinds_are_matched_to_the_streaks_that_photographs_show(fitted: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    # Streaks lie on black, and the network takes off three quarters of them.
    monkeypatch.setattr("pipelines.fit_taking.Taking.layer", lambda _, picture: 0.75 * picture[..., 0])
    monkeypatch.setattr("pipelines.fit_rounds.clean_like", lambda *_: np.zeros((80, 80, 3), np.uint8))
    search, taking = matched_search(fitted.search, fitted.whole), Taking(network="none", blend="additive")
    rain = LineRain(kinds=(LineKind(ranges=RAIN | {"level_codes": [20, 90], "layer_coverage_fraction": [0.1, 0.5]}),))
    known, seen = pictures_known(fitted.setting, rain.look_alike, taking, search, range(60), map)
    names, sizes_px = tuple(known[0]), [(80, 80)] * 12
    true, taken = (np.array([list(one.values()) for one in looks]) for looks in (known, seen))
    wanted = wanted_layers(names, true[12:], taken[12:], taken[:12], sizes_px)
    effort = Effort(pictures=60, library=400, near=240)
    drawn = layers_all_over(fitted.setting, search, sizes_px, effort, map)
    kinds, drawn = matched_kinds(fitted.setting, search, wanted, drawn, effort, map)
    kinds, drawn = matched_kinds(fitted.setting, search, wanted, drawn, effort, map, kinds)
    assert len(drawn.numbers) == 400 + 2 * 240
    assert kinds.places == tuple(range(12))
    level, mean, turn = (
        names.index("levels_level_at_50"),
        names.index("levels_mean"),
        names.index("turn_direction_deg"),
    )
    assert np.mean(true[:12, level] - taken[:12, level]) > 0.2  # a quarter of it, as a logarithm
    made = [row_of(search, values, (80, 80), 7, at) for at, values in enumerate(np.repeat(kinds.numbers, 8, axis=0))]
    rows = np.array(made).reshape(12, 8, len(names)).mean(axis=1)
    for at, reach in ((level, 0.12), (mean, 0.15)):
        assert rows[:, at].mean() == pytest.approx(true[:12, at].mean(), abs=reach)
        assert np.corrcoef(rows[:, at], true[:12, at])[0, 1] > 0.5
    assert rows[:, turn].mean() == pytest.approx(12, abs=3)


def test_a_wide_layer_is_compared_by_its_middle() -> None:
    wide = np.broadcast_to(np.arange(700), (70, 700))
    assert middle_columns(wide).shape == (70, 480)
    assert middle_columns(wide)[0, 0] == 110
    assert middle_columns(wide[:, :300]).shape == (70, 300)


MISTAKES = {
    "layers of physical rain": (
        ["fit", "photos", "-o", "f.yaml", "--family", "physical", "--layers", "seen"],
        "--layers must go with lines or noise, got physical rain",
    ),
    "layers over others": (["fit", "photos", "-o", "f.yaml", "--layers", "photos"], "--layers must be a new or empty"),
    "too few": (["fit", "photos", "-o", "f.yaml"], "PHOTOS must hold 10 to 1000 photographs, got 2"),
    "no folder": (["fit", "absent", "-o", "f.yaml"], "absent"),
    "no YAML": (["fit", "photos", "-o", "f.json"], "--output must be a YAML file, got 'f.json'"),
    "no family": (["fit", "photos", "-o", "f.yaml", "--family", "snow"], "--family must be one of auto, lines, phys"),
    "camera of lines": (
        ["fit", "photos", "-o", "f.yaml", "--family", "lines", "--fov-deg", "30"],
        "--fov-deg and --exposure-s must go with physical rain",
    ),
    "exposure in ms": (["fit", "photos", "-o", "f.yaml", "--exposure-s", "4"], "--exposure-s must be between"),
    "depth nowhere": (["fit", "photos", "-o", "f.yaml", "--depth", "-3"], "--depth must be between 0.01 and"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for picture in "ab":
        write_picture(tmp_path / "photos" / f"{picture}.png", np.zeros((70, 70, 3), np.uint8))
    words, message = MISTAKES[name]
    code, _, told = run(*words, "--workers", 1)
    assert code == 2
    assert message in told
    assert len(told.strip().splitlines()) == 1
    assert not (tmp_path / "f.yaml").exists()
