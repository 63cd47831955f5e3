"""The texture of rain too small to draw, against pictures in which every drop is drawn."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import poisson, skew

from rainsynth.layer_steps import TEXTURE_ONE
from rainsynth.optics.depth_table import SceneDepth, scene_depth
from rainsynth.optics.rasterize import coverage_sum, unhidden_fraction
from rainsynth.optics.streak import Streaks, project
from rainsynth.optics.texture import MOST_PARTS, POISSON_STEPS, Texture, taps_of_length, texture_of
from rainsynth.optics.texture_field import BITS_A_PART, PARTS_A_HASH, draw_texture, hash_counter, lying_texture
from rainsynth.physics import extinction_per_km
from rainsynth.scene.camera import Camera
from rainsynth.scene.drops import Drops, horizontal_diameter_mm, sample_drops, unresolved_optical_depth
from rainsynth.scene.rain_event import RainEvent

SIZE_PX = 256
LAGS = [(0, 1), (0, 2), (1, 0), (2, 0), (4, 0), (8, 0)]  # rows down, columns right

# Camera, weather, distance [m], width from which drops are drawn [px], width of the smallest that brute force draws.
# Thinner ones hold under 2 % of the variance.
CASES = {
    "1080p, 1/250 s": (Camera.from_fov(1920, 1080, 50.0), RainEvent(rain_rate_mm_h=25.0), 20.0, 0.5, 0.04),
    "1080p, 1/30 s": (
        Camera.from_fov(1920, 1080, 50.0, exposure_s=1 / 30), RainEvent(rain_rate_mm_h=50.0), 20.0, 0.5, 0.04,
    ),
    "1080p, slanted": (
        Camera.from_fov(1920, 1080, 50.0), RainEvent(rain_rate_mm_h=25.0, wind_m_s=(4.0, 0.0)), 20.0, 0.5, 0.04,
    ),
    "1080p, lying": (
        Camera.from_fov(1920, 1080, 50.0, exposure_s=1 / 125),
        RainEvent(rain_rate_mm_h=25.0, wind_m_s=(10.0, 0.0)), 20.0, 0.5, 0.04,
    ),
    "1080p from 0.25 px": (Camera.from_fov(1920, 1080, 50.0), RainEvent(rain_rate_mm_h=25.0), 20.0, 0.25, 0.04),
    "512 px": (Camera.from_fov(512, 512, 50.0), RainEvent(rain_rate_mm_h=100.0), 10.0, 0.5, 0.02),
    "512 px from 1 px": (Camera.from_fov(512, 512, 50.0), RainEvent(rain_rate_mm_h=25.0), 10.0, 1.0, 0.02),
    "long lens from 2 px": (
        Camera.from_fov(512, 512, 20.0, exposure_s=1 / 500),
        RainEvent(rain_rate_mm_h=50.0, wind_m_s=(1.0, 0.0)), 20.0, 2.0, 0.06,
    ),
    "out of focus": (
        Camera.from_fov(512, 512, 20.0, exposure_s=1 / 500, aperture_mm=3.0, focus_m=10.0),
        RainEvent(rain_rate_mm_h=50.0), 20.0, 0.5, 0.06,
    ),
}  # fmt: skip


def middle(camera: Camera) -> Camera:
    """A window in the middle of a picture."""
    top, left = (camera.height_px - SIZE_PX) // 2, (camera.width_px - SIZE_PX) // 2
    return camera.window(top, left, SIZE_PX, SIZE_PX)


def thin_drops(event: RainEvent, camera: Camera, far_m: float, below_px: float, from_px: float, seed: int) -> Drops:
    """All drops whose images are between two widths."""
    drops = sample_drops(event, camera, far_m, from_px, np.random.default_rng(seed))
    width_px = camera.focal_px * 1e-3 * horizontal_diameter_mm(drops.diameter_mm) / drops.z_m
    kept = width_px < below_px
    return Drops(*(getattr(drops, name)[kept] for name in Drops.__dataclass_fields__))


def column_of(depth_m: np.ndarray, width_px: int) -> SceneDepth:
    """Depth of a picture whose rows have one depth each."""
    return scene_depth(np.broadcast_to(depth_m.astype(np.float32)[:, None], (len(depth_m), width_px)))


def drawn_texture(texture, far_m: float, key: int, size_px: int = SIZE_PX) -> np.ndarray:
    depth = column_of(np.full(size_px, far_m), size_px)
    if texture.lying:
        return lying_texture(texture, depth, key, (size_px, size_px)) / TEXTURE_ONE
    out16 = np.empty((size_px, size_px), dtype=np.uint16)
    draw_texture(out16, texture, depth, key, (0, size_px))
    return out16 / TEXTURE_ONE


def covariances(factor: np.ndarray) -> np.ndarray:
    """Variance, and covariance of pixels at each of LAGS."""
    change = factor - factor.mean()
    height, width = change.shape
    lagged = [np.mean(change[down:, right:] * change[: height - down, : width - right]) for down, right in LAGS]
    return np.array([np.mean(change**2), *lagged])


@pytest.mark.parametrize("case", CASES)
def test_variance_and_correlation_are_those_of_every_drop_drawn(case):
    camera, event, far_m, least_px, smallest_px = CASES[case]
    camera = middle(camera)
    depth_m = np.full((SIZE_PX, SIZE_PX), far_m, dtype=np.float32)
    texture = texture_of(event, camera, far_m, least_px)
    brute, drawn, means = np.zeros(len(LAGS) + 1), np.zeros(len(LAGS) + 1), []
    skewness = np.zeros(2)
    for seed in range(3):
        drops = thin_drops(event, camera, far_m, least_px, smallest_px, seed)
        assert len(drops) > 20_000
        free = unhidden_fraction(project(drops, camera), depth_m).astype(np.float64)
        brute += covariances(free / free.mean()) / 3
        factor = drawn_texture(texture, far_m, seed)
        drawn += covariances(factor) / 3
        means.append(factor.mean())
        skewness += skew(factor, axis=None), skew(free, axis=None)
    assert np.mean(means) == pytest.approx(1, abs=0.002)
    # Three pictures of 256 x 256 px tell a variance within about 3 %.
    assert drawn[0] == pytest.approx(brute[0], rel=0.1)
    np.testing.assert_allclose(drawn[1:] / drawn[0], brute[1:] / brute[0], atol=0.1)
    # Equal drops with the moments of unequal ones are rarer and larger: 1.1 to 1.6 times as skewed, known to a tenth.
    assert 1.0 < skewness[0] / skewness[1] < 1.7


def test_the_reference_picture_is_that_of_a_sensor_four_times_as_fine():
    # The area-exact rasteriser is the brute force above: every drop drawn on pixels a quarter as wide, then averaged,
    # is the same picture. Sums of coverage, which are linear, so that averaging is exact.
    camera, event, far_m, least_px, _ = CASES["1080p, 1/250 s"]
    small = camera.window(500, 900, 64, 64)
    fine = Camera(
        width_px=256, height_px=256, focal_px=4 * small.focal_px, exposure_s=small.exposure_s, near_m=small.near_m,
        principal_x_px=4 * small.principal_x_px, principal_y_px=4 * small.principal_y_px,
    )  # fmt: skip
    drops = thin_drops(event, small, far_m, least_px, 0.04, 0)
    coarse = coverage_sum(project(drops, small), np.full((64, 64), far_m, dtype=np.float32)).astype(np.float64)
    fine_sum = coverage_sum(project(drops, fine), np.full((256, 256), far_m, dtype=np.float32)).astype(np.float64)
    averaged = fine_sum.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.corrcoef(coarse.ravel(), averaged.ravel())[0, 1] > 0.998
    assert averaged.var() == pytest.approx(coarse.var(), rel=0.02)


def test_variance_of_the_smallest_pictures_detail_is_the_integral_over_the_spectrum():
    """K = Int lambda a^2 of drops that stand still and are far smaller than a pixel: each covers one pixel by its area.

    a = pi/4 (f D / z)^2, lambda = N(D) z^2 / f^2 dD dz, so K = (pi/4)^2 f^2 Int N D^4 dD (1/near - 1/far), by hand for
    exponential N(D) = N0 exp(-L D): Int N D^4 dD = 24 N0 / L^5. Spheres: under 1 mm flattening changes areas by 1 %.
    """
    near_m, far_m = 5.0, 50.0
    camera = Camera.from_fov(64, 64, 10.0, exposure_s=1e-6, near_m=near_m)
    event = RainEvent(rain_rate_mm_h=1.0, spectrum="joss-drizzle", normalize=False, turbulence_m_s=0.0)
    texture = texture_of(event, camera, far_m, 2.0)
    fourth_mm4_m3 = 24 * 30000.0 / 5.7**5
    expected = (np.pi / 4) ** 2 * camera.focal_px**2 * fourth_mm4_m3 * 1e-12 * (1 / near_m - 1 / far_m)
    # Drops straddle pixels as a box of 0.87 f D / z: a few hundredths of a pixel, 1 %; bins and cells 1 %.
    assert texture.variance.sum() == pytest.approx(expected, rel=0.03)


def test_texture_and_veil_do_not_depend_on_how_the_rows_are_divided():
    camera, event, far_m, least_px, _ = CASES["1080p, slanted"]
    texture = texture_of(event, middle(camera), far_m, least_px)
    depth = column_of(np.linspace(2.0, far_m, SIZE_PX), SIZE_PX)
    whole, parts = (np.empty((SIZE_PX, SIZE_PX), dtype=np.uint16) for _ in range(2))
    draw_texture(whole, texture, depth, 9, (0, SIZE_PX))
    for first, last in ((0, 7), (7, 100), (100, 101), (101, SIZE_PX)):
        draw_texture(parts, texture, depth, 9, (first, last))
    np.testing.assert_array_equal(parts, whole)


def test_a_map_and_a_column_of_the_same_depth_have_the_same_texture():
    camera, event, far_m, least_px, _ = CASES["1080p, 1/250 s"]
    texture = texture_of(event, middle(camera), far_m, least_px)
    column = column_of(np.repeat([4.0, 8.0, 20.0, 12.0], SIZE_PX // 4), SIZE_PX)
    whole = scene_depth(np.repeat(column.narrow_m, SIZE_PX, axis=1))
    assert column.narrow_m.shape == (SIZE_PX, 1) and whole.narrow_m.shape == (SIZE_PX, SIZE_PX)
    one, two = (np.empty((SIZE_PX, SIZE_PX), dtype=np.uint16) for _ in range(2))
    draw_texture(one, texture, column, 3, (0, SIZE_PX))
    draw_texture(two, texture, whole, 3, (0, SIZE_PX))
    # Depth is looked up to 0.05 %, and sums are rounded: a step or two of 1/32768.
    assert np.abs(one.astype(int) - two.astype(int)).max() <= 4


def test_a_near_wall_hides_the_texture_behind_it():
    camera, event, far_m, least_px, _ = CASES["1080p, 1/250 s"]
    texture = texture_of(event, middle(camera), far_m, least_px)
    depth_m = np.full((SIZE_PX, SIZE_PX), far_m, dtype=np.float32)
    depth_m[:, : SIZE_PX // 2] = 0.5
    out16 = np.empty((SIZE_PX, SIZE_PX), dtype=np.uint16)
    draw_texture(out16, texture, scene_depth(depth_m), 1, (0, SIZE_PX))
    factor = out16 / TEXTURE_ONE
    assert factor[:, : SIZE_PX // 2].var() < 0.02 * factor[:, SIZE_PX // 2 :].var()


def test_variance_grows_with_depth_as_that_of_drops_does():
    camera, event, far_m, least_px, smallest_px = CASES["1080p, 1/250 s"]
    camera = middle(camera)
    texture = texture_of(event, camera, far_m, least_px)
    drops = thin_drops(event, camera, far_m, least_px, smallest_px, 5)
    streaks = project(drops, camera)
    for depth_m in (6.0, 10.0, 20.0):
        before = drops.z_m < depth_m
        nearer = Streaks(*(getattr(streaks, name)[before] for name in Streaks.__dataclass_fields__))
        free = unhidden_fraction(nearer, np.full((SIZE_PX, SIZE_PX), depth_m, dtype=np.float32)).astype(np.float64)
        share = texture.share_before(np.array([depth_m]))[:, 0] @ texture.variance
        assert share == pytest.approx(np.var(free / free.mean()), rel=0.15)


def test_no_two_rows_and_parts_share_random_bits():
    # A hash of 32 bits serves a few parts, each with bits of its own.
    assert 2**BITS_A_PART == POISSON_STEPS and BITS_A_PART * PARTS_A_HASH <= 32
    bits = [(hash_counter(y, part), part % PARTS_A_HASH) for y in range(-200, 1200) for part in range(MOST_PARTS)]
    assert len(set(bits)) == len(bits)


def test_parts_of_a_texture_are_uncorrelated_in_neighbouring_rows():
    one, size_px = np.ones(MOST_PARTS), 128
    numbers = poisson.ppf((np.arange(POISSON_STEPS) + 0.5) / POISSON_STEPS, 1.0).astype(np.uint8)
    texture = Texture(
        near_m=one, far_m=20 * one, variance=one, amplitude=one, slope=0 * one, along_ones=one, along_end=0 * one,
        across_end=0 * one, mean_number=one, poisson=np.tile(numbers, (MOST_PARTS, 1)), lying=False,
        depth_m=np.array([1.0, 20.0]), variance_before=np.array([0.0, 1.0]),
    )  # fmt: skip
    fields = []
    for part in np.eye(MOST_PARTS):
        alone = drawn_texture(replace(texture, amplitude=0.02 * part, variance=4e-4 * part), 20.0, 7, size_px)
        fields.append((alone - alone.mean()) / alone.std())
    for one_field, other in combinations(fields, 2):
        for lag in range(-3, 4):
            shifted = np.roll(other, lag, axis=0)
            # Five standard deviations of the correlation of 128 x 128 independent numbers.
            assert abs(np.mean(one_field * shifted)) < 5 / size_px


def test_no_texture_where_there_is_no_rain_or_no_room():
    camera = Camera.from_fov(64, 64, 50.0)
    assert texture_of(RainEvent(rain_rate_mm_h=0.0), camera, 20.0, 0.5) is None
    assert texture_of(RainEvent(rain_rate_mm_h=50.0), camera, camera.near_m, 0.5) is None


@pytest.mark.parametrize("length_px", [1.0, 1.3, 1.99, 2.0, 2.5, 7.2, 63.9])
def test_taps_have_the_length_asked_for(length_px):
    ones, end = taps_of_length(length_px, int(length_px))
    taps = np.array([end, *[1.0] * ones, end])
    assert 0 <= end < 1
    assert taps.sum() ** 2 / np.sum(taps**2) == pytest.approx(length_px, rel=1e-9)


@pytest.mark.parametrize("width_px", [256, 1024])
@pytest.mark.parametrize("least_px", [0.25, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("far_m", [5.0, 100.0])
def test_drawn_drops_texture_and_veil_have_the_optical_depth_of_all_rain(width_px, least_px, far_m):
    # -ln of the mean of what streaks, texture and veil let through together is beta z.
    rate_mm_h, seeds = 50.0, 12 if far_m == 5.0 else 4
    camera = Camera.from_fov(width_px, width_px // 2, 50.0)
    event = RainEvent(rain_rate_mm_h=rate_mm_h)
    depth = column_of(np.full(camera.height_px, far_m), camera.width_px)
    texture = texture_of(event, camera, far_m, least_px)
    through = []
    for seed in range(seeds):
        streaks = project(sample_drops(event, camera, far_m, least_px, np.random.default_rng(seed)), camera)
        free = unhidden_fraction(streaks, np.broadcast_to(depth.narrow_m, (camera.height_px, camera.width_px)))
        factor16 = np.full(free.shape, TEXTURE_ONE, dtype=np.uint16)
        if texture is not None:
            draw_texture(factor16, texture, depth, seed, (0, camera.height_px))
        through.append(np.mean(free * (factor16 / TEXTURE_ONE)))
    veil = float(unresolved_optical_depth(event, camera, np.array([far_m]), least_px)[0])
    total = extinction_per_km(rate_mm_h) * 1e-3 * far_m
    assert veil - np.log(np.mean(through)) == pytest.approx(total, rel=0.02)
