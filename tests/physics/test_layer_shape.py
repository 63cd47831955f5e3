"""Statistics of a layer by itself: alike for layers of the same numbers, apart for others."""

from __future__ import annotations

import numpy as np
import pytest

from rainsynth.checks import InputError
from rainsynth.lookalikes.clipped_noise import summed_noise_codes
from rainsynth.measure.layer_shape import DIRECTION, GROUPS, layer_shape, weights_of

NOISE = {
    "direction_deg": 5.0,
    "length_px": 60.0,
    "grain_px": 2.0,
    "grains_per_length": 3.0,
    "level_codes": 60.0,
    "layer_count": 2,
    "layer_coverage_fraction": 0.4,
    "ramp_fraction": 1.0,
}


def shape(seed: int = 1, **numbers: float) -> dict[str, float]:
    """Statistics of layers of clipped noise, 240 x 320 px."""
    return layer_shape(summed_noise_codes(240, 320, NOISE | numbers, np.random.default_rng(seed)))


def test_levels_bands_and_rows_are_those_of_the_layer() -> None:
    layer = np.zeros((240, 320), np.float32)
    layer[:, ::2] = 50
    layer[120:] *= 2
    found = layer_shape(layer)
    assert found["levels_at_20"] == pytest.approx(1)  # sqrt(0 + 1)
    assert found["levels_at_70"] == pytest.approx(np.sqrt(51))
    assert found["levels_at_95"] == pytest.approx(np.sqrt(101))
    assert np.exp(found["levels_above_60"]) == pytest.approx(0.25 + 1e-3)
    rows = [found[f"rows_{number}"] for number in range(12)]
    assert rows[:6] == pytest.approx([-12.5 / 38.5] * 6, abs=1e-3)
    assert rows[6:] == pytest.approx([12.5 / 38.5] * 6, abs=1e-3)
    # Columns that alternate leave the Gaussian of 1 px as a flat half: 25 above, 50 below, by root mean square.
    assert np.exp(found["bands_0"]) == pytest.approx(np.hypot(25, 50) / np.sqrt(2), rel=0.03)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"level_codes": 80.0}, "levels_mean"),
        ({"direction_deg": 15.0}, DIRECTION),
        ({"length_px": 25.0}, "sizes_length"),
        ({"ramp_fraction": 0.2}, "steps_grain_steps_across_40"),
        ({"grain_px": 4.0}, "bands_3"),
        ({"inside_bottom_fraction": 1.0}, "rows_11"),
        ({"clump_log_sd": 0.9, "clump_px": 60.0}, "bands_5"),
    ],
)
def test_what_differs_is_seen_beyond_chance(change: dict[str, float], name: str) -> None:
    same = np.array([shape(seed)[name] for seed in range(5)])
    other = np.array([shape(seed, **change)[name] for seed in range(5)])
    assert abs(other.mean() - same.mean()) > 3 * max(same.std(), other.std())


def test_density_is_of_what_lies_near() -> None:
    layer = np.zeros((320, 320), np.float32)
    layer[:, ::2] = 40
    layer[192:] = 100  # two fifths are flat and dense, three have lines
    found = layer_shape(layer)
    assert np.exp([found["density_mean_0"], found["density_mean_4"]]) == pytest.approx([21, 101], rel=0.01)
    assert np.exp([found["density_contrast_0"], found["density_contrast_4"]]) == pytest.approx([1, 1 / 101], rel=0.02)
    assert found["density_floor_0"] == pytest.approx(0)
    assert found["density_floor_4"] == pytest.approx(10)


@pytest.mark.parametrize("seed", range(3))
def test_layers_that_are_screened_have_less_contrast_where_they_are_dense(seed: int) -> None:
    dense = {"layer_count": 4, "layer_coverage_fraction": 0.6}
    added, screened = (shape(seed, **dense, layer_screened_fraction=fraction) for fraction in (0.0, 1.0))
    assert screened["density_contrast_4"] < added["density_contrast_4"] - 0.1
    assert screened["density_mean_4"] < added["density_mean_4"] - 0.1


def test_every_group_counts_as_much_however_many_statistics_it_has() -> None:
    names = tuple(shape())
    weights = weights_of(names)
    assert weights.sum() == pytest.approx(1)
    whole = sum(GROUPS.values())
    for group, share in GROUPS.items():
        of_group = [weight for name, weight in zip(names, weights, strict=True) if name.startswith(f"{group}_")]
        assert sum(of_group) == pytest.approx(share / whole)


def test_an_empty_layer_has_finite_statistics_and_a_small_one_none() -> None:
    assert np.isfinite(list(layer_shape(np.zeros((64, 64))).values())).all()
    with pytest.raises(InputError, match=r"layer_codes must be at least 64 px each way, got \(63, 80\)"):
        layer_shape(np.zeros((63, 80)))
