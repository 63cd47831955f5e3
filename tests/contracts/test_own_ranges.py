"""Rain given by its ranges: physical presets with fields replaced, lines by their numbers; in data and training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import rainsynth
from mspfn.data_config import DataConfig
from mspfn.rendered_pairs import RenderedPairs
from pipelines.config import build_config, load_config, plain_values
from pipelines.generate_config import GenerateConfig
from pipelines.make_shard import make_sample, make_shard, recorded
from pipelines.photographs import Photograph, sha256_of
from pipelines.plan import plan
from rainsynth.checks import InputError
from rainsynth.lookalikes import LineKind, LineRain
from rainsynth.lookalikes.line_rain import LINE_BLENDS, LINE_NUMBERS
from rainsynth.pictures import write_picture
from rainsynth.preset_choice import PresetChoice
from rainsynth.sample import recompose

OWN_RAIN = """
data: {photographs: photos}
samples: 12
seed: 5
mixture:
  - {preset: heavy, weight: 2, ranges: {exposure_s: [0.001, 0.0011], wind_right_m_s: 3, spectrum: joss-thunderstorm}}
  - lines:
      blend: additive
      kinds:
        - title: slanted
          share_fraction: 1
          ranges: {direction_deg: [-12, -10], length_px: {low: 40, high: 90, scale: logarithmic}, level_codes: 80}
  - {lines: {blend: screen, kinds: [{ranges: {layer_count: [2, 3]}}]}}
"""


@pytest.fixture
def photographs(tmp_path: Path, photo_srgb8: np.ndarray) -> Path:
    """Folder of two photographs, 48 x 64 px."""
    for name, shift in (("a", 0), ("b", 7)):
        write_picture(tmp_path / "photos" / f"{name}.png", np.roll(photo_srgb8, shift, axis=1))
    return tmp_path / "photos"


@pytest.fixture
def config(photographs: Path) -> GenerateConfig:
    """OWN_RAIN over the photographs."""
    (photographs.parent / "own.yaml").write_text(OWN_RAIN)
    return load_config(GenerateConfig, photographs.parent / "own.yaml", [f"data.photographs={photographs}"])


def survey(folder: Path) -> list[Photograph]:
    return [Photograph(path.name, 48, 64, sha256_of(path)) for path in sorted(folder.glob("*.png"))]


def test_a_config_with_ranges_survives_yaml(config: GenerateConfig) -> None:
    again = build_config(GenerateConfig, yaml.safe_load(yaml.safe_dump(plain_values(config))), "again")
    assert [part.family for part in again.mixture] == [part.family for part in config.mixture]
    assert [part.label for part in again.mixture] == [part.label for part in config.mixture]


def test_samples_have_the_ranges_they_were_asked_for(config: GenerateConfig) -> None:
    seen: dict[str, list[dict[str, Any]]] = {}
    for index in range(config.samples):
        values = make_sample(config, index, survey(Path(config.data.photographs))[index % 2]).parameters
        seen.setdefault(values["preset"], []).append(values)
    heavy, slanted, screen = (part.label for part in config.mixture)
    assert {name: len(found) for name, found in seen.items()} == {heavy: 6, slanted: 3, screen: 3}
    assert all(0.001 <= values["exposure_s"] <= 0.0011 for values in seen[heavy])
    assert {values["wind_right_m_s"] for values in seen[heavy]} == {3.0}
    assert {values["spectrum"] for values in seen[heavy]} == {"joss-thunderstorm"}
    assert all(10 <= values["rain_rate_mm_h"] <= 50 for values in seen[heavy])  # the preset's own
    assert all(-12 <= values["direction_deg"] <= -10 and values["level_codes"] == 80 for values in seen[slanted])
    assert all(40 <= values["length_px"] <= 90 for values in seen[slanted])
    assert {values["layer_count"] for values in seen[screen]} <= {2, 3}
    assert all(type(values["layer_count"]) is int for values in seen[screen])


def test_a_shard_records_what_made_it(config: GenerateConfig, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for task in plan(config, survey(Path(config.data.photographs))):
        make_shard(config, task, str(tmp_path / "out"))
    shards = rainsynth.open_shards(tmp_path / "out")
    labels = {part.label for part in config.mixture}
    assert {name.decode() for name in shards.table["preset"]} == labels
    assert sorted(label.split("-")[0] for label in labels) == ["heavy", "lines", "lines"]
    mixture = json.loads(json.dumps(recorded(config)))["mixture"]
    assert [part.label for part in build_config(tuple[PresetChoice, ...], mixture, "stored")] == [
        part.label for part in config.mixture
    ]
    for index in range(len(shards)):
        np.testing.assert_array_equal(recompose(shards.whole(index)), shards[index].rainy_srgb8)


def test_the_same_seed_and_index_give_the_same_bytes_and_others_do_not(config: GenerateConfig) -> None:
    photo = survey(Path(config.data.photographs))[0]
    for index in range(4):
        first, again = (make_sample(config, index, photo).rainy_srgb8 for _ in range(2))
        np.testing.assert_array_equal(first, again)
    assert (make_sample(config, 1, photo).rainy_srgb8 != make_sample(config, 4, photo).rainy_srgb8).any()


def test_a_config_without_ranges_is_recorded_as_it_always_was() -> None:
    config = load_config(GenerateConfig, Path(__file__).parents[2] / "configs/generate/light_to_heavy.yaml")
    assert recorded(config)["mixture"][0] == {"preset": "light", "weight": 1.0, "rain_rate_mm_h": None}


def test_own_ranges_equal_to_a_presets_give_its_bytes(photographs: Path) -> None:
    def rainy(choice: PresetChoice) -> np.ndarray:
        values: dict[str, Any] = {"data": {"photographs": str(photographs)}, "samples": 1, "mixture": (choice,)}
        return make_sample(build_config(GenerateConfig, values, "test"), 0, survey(photographs)[0]).rainy_srgb8

    own = PresetChoice(preset="violent", ranges={"rain_rate_mm_h": [50, 150], "mist_per_km": [0, 4]})
    np.testing.assert_array_equal(rainy(own), rainy(PresetChoice(preset="violent")))


def test_screen_is_the_formula_of_screen_and_additive_that_of_adding(photographs: Path, photo_srgb8) -> None:
    for blend in ("screen", "additive"):
        choice = PresetChoice(lines=LineRain(blend=blend, kinds=(LineKind(ranges={"layer_coverage_fraction": 0.5}),)))
        values: dict[str, Any] = {"data": {"photographs": str(photographs)}, "samples": 1, "mixture": (choice,)}
        sample = make_sample(build_config(GenerateConfig, values, "test"), 0, survey(photographs)[0])
        clean, streaks = photo_srgb8.astype(float), sample.streak_alpha16[..., None] / 257
        screen = 255 - (255 - clean) * (255 - streaks) / 255
        expected = screen if blend == "screen" else np.minimum(clean + streaks, 255)
        assert np.abs(sample.rainy_srgb8 - expected).max() <= 0.5
        np.testing.assert_array_equal(sample.veiled_srgb8, photo_srgb8)


def test_noise_by_default_is_rain_that_follows_from_the_seed_and_hides_no_more_than_streaks(photographs: Path) -> None:
    choice = PresetChoice(lines=LineRain(streaks="noise", kinds=(LineKind(ranges={"layer_count": 3}),)))
    values: dict[str, Any] = {"data": {"photographs": str(photographs)}, "samples": 2, "mixture": (choice,)}
    config, photo = build_config(GenerateConfig, values, "test"), survey(photographs)[0]
    one, again, other = (make_sample(config, index, photo) for index in (0, 0, 1))
    np.testing.assert_array_equal(one.rainy_srgb8, again.rainy_srgb8)
    assert (one.rainy_srgb8 != other.rainy_srgb8).any()
    assert 0.1 < one.parameters["coverage_fraction"] < 0.9
    assert "width_px" not in one.parameters
    np.testing.assert_array_equal(one.veiled_srgb8, one.clean_srgb8)


def test_rain_by_its_ranges_can_be_trained_on(photographs: Path) -> None:
    mixture = yaml.safe_load(OWN_RAIN)["mixture"]
    data = build_config(DataConfig, {"photographs": str(photographs), "presets": mixture}, "test")
    pairs = RenderedPairs(photographs, data.presets, seed=3, samples=40)
    assert {name.decode() for name in pairs.table["preset"]} == {part.label for part in data.presets}
    lines = np.flatnonzero(np.isnan(pairs.table["rain_rate_mm_h"]))
    assert len(lines) == 20
    window, again = (pairs.crop(int(lines[0]), 4, 5, 32) for _ in range(2))
    assert (window.rainy_srgb8 != window.clean_srgb8).any()
    np.testing.assert_array_equal(window.rainy_srgb8, again.rainy_srgb8)


def test_digests_tell_ranges_apart_and_not_their_spelling() -> None:
    def label(**ranges: Any) -> str:
        return PresetChoice(preset="heavy", ranges=ranges).label

    assert label(exposure_s=0.001) == label(exposure_s=[0.001, 0.001]) != label(exposure_s=0.002)
    lines = [PresetChoice(lines=LineRain(blend=blend)).label for blend in LINE_BLENDS]
    lines += [PresetChoice(lines=LineRain(streaks="noise")).label]
    assert len(set(lines)) == len(lines)
    default = {"length_px": {"low": 20, "high": 60, "scale": "logarithmic"}}
    assert PresetChoice(lines=LineRain(kinds=(LineKind(ranges=default),))).label == lines[0]


def test_layers_that_are_not_there_are_told_when_they_are_drawn_from(tmp_path: Path) -> None:
    choice = PresetChoice(lines=LineRain(streaks="taken", layers=str(tmp_path / "seen")))
    with pytest.raises(InputError, match=r"lines.layers must be a folder of layers, got '.*seen'"):
        choice.family  # noqa: B018


def test_the_same_layers_have_the_same_label_wherever_they_lie(tmp_path: Path) -> None:
    def label(folder: str, *names: str) -> str:
        for name in names:
            write_picture(tmp_path / folder / name, np.zeros((2, 2, 3), np.uint8))
        return PresetChoice(lines=LineRain(streaks="taken", layers=str(tmp_path / folder))).label

    assert label("here", "a.png", "b.png") == label("there", "a.png", "b.png") != label("elsewhere", "a.png")


def test_every_default_of_lines_lies_where_it_may() -> None:
    for number in LINE_NUMBERS.values():
        if number.default is not None:
            assert number.low <= number.default.low <= number.default.high <= number.high


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("{weight: 2}", "a part of a mixture must have a preset or lines, got neither"),
        ("{preset: heavy, lines: {}}", "a part of a mixture must have a preset or lines, got both: 'heavy' and lines"),
        ("{preset: hevy, ranges: {}}", "preset must be one of .*got 'hevy'"),
        ("{preset: rain100h, ranges: {exposure_s: 1}}", "ranges must go with a physical preset, got rain100h"),
        ("{lines: {}, rain_rate_mm_h: [1, 2]}", "rain_rate_mm_h must be left out for lines"),
        ("{preset: heavy, ranges: {exposur_s: 1}}", "name of a range must be one of .*got 'exposur_s'"),
        ("{preset: heavy, ranges: {title: 1}}", "name of a range must be one of .*got 'title'"),
        ("{preset: heavy, ranges: {exposure_s: [2, 4]}}", "Camera.exposure_s must be between .*got 2. Is it in ms"),
        ("{preset: heavy, ranges: {exposure_s: [0.1, 0.01]}}", r"exposure_s must be \[low, high\], low first"),
        ("{preset: heavy, ranges: {exposure_s: long}}", "exposure_s must be a number, got 'long'"),
        ("{preset: heavy, ranges: {near_m: [1, 2, 3]}}", r"near_m must be a number or \[low, high\]"),
        ("{preset: heavy, ranges: {spectrum: wet}}", "spectrum must be one of .*got 'wet'"),
        ("{preset: heavy, ranges: {rain_rate_mm_h: 9}, rain_rate_mm_h: [1, 2]}", "rain_rate_mm_h must be given once"),
        ("{lines: {blend: multiply}}", "lines.blend must be one of additive, screen, .*got 'multiply'"),
        ("{lines: {kinds: []}}", "lines.kinds must hold at least one kind"),
        ("{lines: {kinds: [{share_fraction: 0.5}]}}", "share_fraction of all kinds of lines must sum to 1, got 0.5"),
        ("{lines: {kind: []}}", "lines.kind must be a known key"),
        ("{lines: {kinds: [{ranges: {lenght_px: 3}}]}}", "name of a range of lines must be one of .*'lenght_px'"),
        ("{lines: {kinds: [{ranges: {length_px: 0.5}}]}}", "length_px must be between 1 and 4000, got 0.5"),
        ("{lines: {kinds: [{ranges: {length_px: {low: 3}}}]}}", "length_px must be a number, .* or {low, high, scale}"),
        ("{lines: {kinds: [{ranges: {length_px: {low: 3, high: 4, scale: log}}}]}}", "scale of length_px must be one"),
        ("{lines: {kinds: [{ranges: {direction_deg: [5, 2]}}]}}", r"direction_deg must be \[low, high\], low first"),
        ("{lines: {kinds: [{ranges: {edge_px: {low: 0, high: 1, scale: logarithmic}}}]}}", "edge_px must be above 0"),
        ("{lines: {kinds: [{ranges: {layer_count: 1.5}}]}}", "layer_count must be whole numbers, got 1.5"),
        (
            "{lines: {kinds: [{ranges: {level_codes: true}}]}}",
            r"level_codes must be a number or \[low, high\], got True",
        ),
        ("{lines: {streaks: painted}}", "lines.streaks must be one of drawn, noise, taken, got 'painted'"),
        (
            "{lines: {streaks: noise, kinds: [{ranges: {width_px: 2}}]}}",
            "width_px must go with streaks drawn, got streaks noise. Leave it out",
        ),
        ("{lines: {kinds: [{ranges: {grain_px: 2}}]}}", "grain_px must go with streaks noise, got streaks drawn"),
        ("{lines: {streaks: taken}}", "lines.layers must go with streaks taken, .* got None with streaks taken"),
        ("{lines: {layers: seen}}", "lines.layers must go with streaks taken, .* got 'seen' with streaks drawn"),
        (
            "{lines: {streaks: taken, layers: a, blend: heavy-rain}}",
            "lines.blend of streaks taken must be one of addit",
        ),
        (
            "{lines: {streaks: taken, layers: a, kinds: [{title: b}]}}",
            "lines.kinds and side_margin_px must be left out",
        ),
        ("{lines: {kinds: [{ranges: {fog_per_m: 1}}]}}", "fog_per_m must go with blend raincityscapes, got blend addi"),
    ],
)
def test_wrong_ranges_are_refused_in_one_line(part: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        build_config(tuple[PresetChoice, ...], [yaml.safe_load(part)], "test")
    assert "\n" not in str(caught.value)
