"""Coverage of pixels by streaks, against a slow and independent supersampled implementation, and its invariants."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from rainsynth.layer_steps import to_unit16
from rainsynth.optics.rasterize import coverage_sum, unhidden_fraction
from rainsynth.optics.streak import Streaks, project
from rainsynth.physics import fall_speed_m_s
from rainsynth.scene.camera import Camera
from rainsynth.scene.drops import Drops


def make_streaks(centre_x_px, centre_y_px, width_px, height_px, move_x_px, move_y_px, z_m=1.0) -> Streaks:  # type: ignore[no-untyped-def]
    """Streaks by centre, size of the moving ellipse, and how far it moves."""
    given = [centre_x_px, centre_y_px, width_px, height_px, move_x_px, move_y_px, z_m]
    x, y, width, height, dx, dy, z = (
        np.array(v) for v in np.broadcast_arrays(*(np.atleast_1d(1.0 * np.asarray(g)) for g in given))
    )
    return Streaks(
        start_x_px=x - dx / 2,
        start_y_px=y - dy / 2,
        end_x_px=x + dx / 2,
        end_y_px=y + dy / 2,
        width_px=width,
        height_px=height,
        area_px2=np.pi / 4 * width * height,
        z_m=z,
    )


def one_of(streaks: Streaks, i: int) -> Streaks:
    return Streaks(**{f.name: getattr(streaks, f.name)[i : i + 1] for f in fields(Streaks)})


def chosen(streaks: Streaks, which: np.ndarray) -> Streaks:
    return Streaks(**{f.name: getattr(streaks, f.name)[which] for f in fields(Streaks)})


def far(height_px: int, width_px: int) -> np.ndarray:
    """A background behind every drop."""
    return np.full((height_px, width_px), 1e3, dtype=np.float32)


def slow_coverage(streak: Streaks, height_px: int, width_px: int, per_pixel: int = 16) -> np.ndarray:
    """Mean over per_pixel^2 points of each pixel of the part of the exposure for which the ellipse covers the point.

    At time s in [0, 1] the ellipse's centre is start + s (end - start). It covers a point while
    |point - centre|^2 <= 1 in units of its half axes: a quadratic in s, solved at each point.
    """
    half = 0.5 * np.array([streak.width_px[0], streak.height_px[0]])
    start = np.array([streak.start_x_px[0], streak.start_y_px[0]])
    move = (np.array([streak.end_x_px[0], streak.end_y_px[0]]) - start) / half
    y = (np.arange(height_px * per_pixel) + 0.5) / per_pixel
    x = (np.arange(width_px * per_pixel) + 0.5) / per_pixel
    px, py = np.meshgrid((x - start[0]) / half[0], (y - start[1]) / half[1])
    speed2 = move @ move
    if speed2 < 1e-12:
        covered = (px**2 + py**2 <= 1).astype(float)
    else:
        middle = (px * move[0] + py * move[1]) / speed2
        discriminant = middle**2 - (px**2 + py**2 - 1) / speed2
        half_time = np.sqrt(np.maximum(discriminant, 0))
        covered = np.clip(middle + half_time, 0, 1) - np.clip(middle - half_time, 0, 1)
    return covered.reshape(height_px, per_pixel, width_px, per_pixel).mean(axis=(1, 3))


def fine_enough(streak: Streaks) -> int:
    """At least 16 samples across a pixel, and six across the thinner axis of the ellipse."""
    return max(16, int(np.ceil(6 / min(streak.width_px[0], streak.height_px[0]))))


# ------------------------------ projected-area invariant


def random_streaks(count: int, frame_px: int, rng: np.random.Generator, widest_px: float = 30.0) -> Streaks:
    """Any size from 0.1 px, any length, any direction, all of them well inside a large frame."""
    width_px = np.exp(rng.uniform(np.log(0.1), np.log(widest_px), count))
    length_px = np.where(rng.uniform(size=count) < 0.3, width_px * rng.uniform(0, 2, count), rng.uniform(0, 80, count))
    angle_rad = rng.choice([0, np.pi / 4, np.pi / 2, 3 * np.pi / 4, -np.pi / 2, np.nan], count)
    angle_rad = np.where(np.isnan(angle_rad), rng.uniform(0, 2 * np.pi, count), angle_rad)
    margin_px = 60
    return make_streaks(
        rng.uniform(margin_px, frame_px - margin_px, count),
        rng.uniform(margin_px, frame_px - margin_px, count),
        width_px,
        width_px * rng.uniform(0.5, 1.0, count),
        length_px * np.cos(angle_rad),
        length_px * np.sin(angle_rad),
    )


def test_coverages_of_thousands_of_streaks_add_up_to_their_projected_areas():
    streaks = random_streaks(4000, 700, np.random.default_rng(1))
    total = coverage_sum(streaks, far(700, 700)).astype(np.float64)
    # Weights along and across a streak add up to one by construction; float32 adds to 1e-7.
    assert total.sum() == pytest.approx(streaks.area_px2.sum(), rel=1e-5)


def test_every_single_streak_adds_up_to_its_projected_area():
    # One large streak must not make up for a lost small one.
    streaks = random_streaks(400, 200, np.random.default_rng(2))
    for i in range(len(streaks.area_px2)):
        streak = one_of(streaks, i)
        total = coverage_sum(streak, far(200, 200)).astype(np.float64).sum()
        assert total == pytest.approx(streak.area_px2[0], rel=1e-4), streak  # float32 over up to 2000 pixels


@pytest.mark.parametrize("exposure_s", [1e-4, 1 / 2000, 1 / 250, 1 / 60, 1 / 30])
@pytest.mark.parametrize(("wind_right_m_s", "wind_away_m_s"), [(0.0, 0.0), (8.0, 0.0), (-12.0, 2.0)])
@pytest.mark.parametrize("aperture_mm", [0.0, 3.0])
def test_the_projected_area_depends_on_neither_exposure_nor_wind_nor_focus(
    exposure_s, wind_right_m_s, wind_away_m_s, aperture_mm
):
    # The sum of coverages is pi/4 (f D / z)^2 (b/a)^(1/3) for a drop inside the frame, whatever blurs it.
    rng = np.random.default_rng(4)
    n = 200
    diameter_mm = rng.uniform(0.3, 6.0, n)
    z_m = rng.uniform(4.0, 20.0, n)
    drops = Drops(
        diameter_mm=diameter_mm,
        x_m=rng.uniform(-0.1, 0.1, n) * z_m,
        y_m=rng.uniform(-0.1, 0.1, n) * z_m,
        z_m=z_m,
        velocity_x_m_s=np.full(n, wind_right_m_s),
        velocity_y_m_s=fall_speed_m_s(diameter_mm),
        velocity_z_m_s=np.full(n, wind_away_m_s),
    )
    camera = Camera.from_fov(900, 900, 50.0, exposure_s=exposure_s, aperture_mm=aperture_mm, focus_m=8.0)
    total = coverage_sum(project(drops, camera), far(900, 900)).astype(np.float64).sum()
    # Beard & Chuang (1987), written out once more.
    d = diameter_mm
    axis_ratio = np.minimum(1.0048 + 5.7e-4 * d - 2.628e-2 * d**2 + 3.682e-3 * d**3 - 1.677e-4 * d**4, 1.0)
    expected = np.pi / 4 * (camera.focal_px * 1e-3 * diameter_mm / z_m) ** 2 * axis_ratio ** (1 / 3)
    assert total == pytest.approx(expected.sum(), rel=1e-3)


def test_streaks_cut_by_the_frame_keep_the_part_inside():
    # What is left of each streak is what the slow implementation finds inside, to 5 % of its area where the frame cuts
    # through its approximated ends, and to 0.3 % over all.
    rng = np.random.default_rng(5)
    fast_sum = slow_sum = 0.0
    for _ in range(120):
        width_px = float(np.exp(rng.uniform(np.log(0.3), np.log(8.0))))
        length_px, angle_rad = rng.uniform(0, 30), rng.uniform(0, 2 * np.pi)
        edge = rng.integers(4)
        along, off = rng.uniform(0, 24), rng.uniform(-6, 6)
        centre = [(along, off), (along, 24 + off), (off, along), (24 + off, along)][edge]
        move = (length_px * np.cos(angle_rad), length_px * np.sin(angle_rad))
        streak = make_streaks(*centre, width_px, 0.8 * width_px, *move)
        fast = float(coverage_sum(streak, far(24, 24)).sum())
        slow = float(slow_coverage(streak, 24, 24).sum())
        assert fast == pytest.approx(slow, abs=0.05 * streak.area_px2[0] + 0.02), streak
        fast_sum, slow_sum = fast_sum + fast, slow_sum + slow
    assert fast_sum == pytest.approx(slow_sum, rel=3e-3)


def test_a_frame_cuts_streaks_without_changing_what_is_left():
    # Horizontal, vertical and short ones alike: a small frame is a window of a large one, to rounding.
    streaks = random_streaks(1500, 260, np.random.default_rng(6), widest_px=12.0)
    large = coverage_sum(streaks, far(260, 260))
    shifted = Streaks(
        **{f.name: getattr(streaks, f.name) - 90 * f.name.endswith(("_x_px", "_y_px")) for f in fields(Streaks)}
    )
    small = coverage_sum(shifted, far(80, 80))
    np.testing.assert_allclose(small, large[90:170, 90:170], atol=2e-5)


@pytest.mark.parametrize("at", [(-500.0, 40.0), (40.0, -500.0), (1e7, 40.0), (40.0, 1e7), (-1e7, -1e7)])
@pytest.mark.parametrize("move", [(0.0, 0.0), (3.0, 60.0), (60.0, 3.0)])
def test_streaks_outside_the_frame_leave_no_trace(at, move):
    assert coverage_sum(make_streaks(*at, 3.0, 3.0, *move), far(80, 80)).sum() == 0


# ------------------------------ pixel by pixel, slow and fast

KINDS = {
    # name: (width range px, length range, in px or widths, near vertical?, tolerance on one pixel's coverage)
    # Thin and long: the shape across the streak is exact; its ends are smeared over less than a pixel.
    "thin": ((0.1, 1.0), (6.0, 30.0), "px", True, 0.01),
    "thin and diagonal": ((0.1, 1.0), (6.0, 30.0), "px", False, 0.02),
    # Thin and hardly moving: a drop of under a pixel is centred in its pixel's row to a fraction of its size.
    "thin and frozen": ((0.15, 1.0), (0.0, 0.3), "widths", False, 0.04),
    "thin and short": ((0.15, 1.0), (0.3, 3.0), "widths", False, 0.09),
    # Much longer than the drop: round ends are replaced by blurred square ones, h/l of coverage deep at most.
    "long": ((1.0, 12.0), (5.0, 8.0), "widths", True, 0.03),
    "long and diagonal": ((1.0, 12.0), (5.0, 8.0), "widths", False, 0.06),
    # Between: coverage is up to 1 and the ends are most of the streak. 0.05 is 13 codes at mid-grey.
    "stretched": ((1.5, 12.0), (1.0, 2.5), "widths", True, 0.05),
    "stretched and diagonal": ((1.5, 12.0), (1.0, 2.5), "widths", False, 0.05),
    # Moves less than its size: 4 x 4 points per pixel leave about 1/16 at an edge.
    "short": ((1.0, 12.0), (0.3, 1.0), "widths", False, 0.06),
    # Frozen: an edge pixel sampled at 4 x 4 points is off by up to 0.07.
    "frozen": ((0.5, 25.0), (0.0, 0.1), "widths", False, 0.08),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_pixel_of_a_streak_agrees_with_the_slow_implementation(kind):
    widths_px, lengths, unit, steep, tolerance = KINDS[kind]
    rng = np.random.default_rng(sorted(KINDS).index(kind))
    worst = []
    for _ in range(40):
        width_px = float(np.exp(rng.uniform(*np.log(widths_px))))
        length_px = rng.uniform(*lengths) * (width_px if unit == "widths" else 1.0)
        angle_rad = np.pi / 2 + (rng.normal(0, 0.06) if steep else rng.uniform(-1.3, 1.3))
        size = int(length_px + width_px) + 6
        centre = size / 2 + rng.uniform(-0.5, 0.5, 2)
        move = (length_px * np.cos(angle_rad), length_px * np.sin(angle_rad))
        streak = make_streaks(*centre, width_px, width_px * rng.uniform(0.7, 1.0), *move)
        per_pixel = min(fine_enough(streak), 64)
        fast = coverage_sum(streak, far(size, size))
        worst.append(np.abs(fast - slow_coverage(streak, size, size, per_pixel)).max())
    assert max(worst) <= tolerance


@pytest.mark.parametrize("angle_deg", [90, 80, 60, 45, 30, 10, 0])
def test_middle_of_a_long_streak_has_the_exact_profile(angle_deg):
    # Away from its ends the coverage of a streak is chord / length: the separable form is exact there.
    angle_rad = np.radians(angle_deg)
    streak = make_streaks(40.3, 40.6, 5.0, 4.0, 60 * np.cos(angle_rad), 60 * np.sin(angle_rad))
    fast = coverage_sum(streak, far(80, 80))[32:49, 32:49]
    slow = slow_coverage(streak, 80, 80)[32:49, 32:49]
    # A pixel's coverage is taken as the mean over its row times the mean over its column: 2 % of 0.08 on a diagonal.
    np.testing.assert_allclose(fast, slow, atol=0.003)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_turned_streak_is_a_turned_picture(turn):
    # No direction is special: turning the sensor by 90 degrees turns the picture.
    streak = make_streaks(20.3, 21.6, 3.0, 2.0, 5.0, 17.0)
    reference = coverage_sum(streak, far(40, 40))
    x, y, dx, dy, width, height = 20.3, 21.6, 5.0, 17.0, 3.0, 2.0
    for _ in range(turn):  # numpy.rot90 turns anticlockwise: (x, y) -> (y, 40 - x)
        x, y, dx, dy, width, height = y, 40 - x, dy, -dx, height, width
    turned = coverage_sum(make_streaks(x, y, width, height, dx, dy), far(40, 40))
    np.testing.assert_allclose(turned, np.rot90(reference, turn), atol=1e-6)


def test_a_streak_moved_by_whole_pixels_is_the_same_streak():
    one = coverage_sum(make_streaks(20.37, 18.81, 1.7, 1.5, 2.0, 14.0), far(60, 60))
    other = coverage_sum(make_streaks(31.37, 25.81, 1.7, 1.5, 2.0, 14.0), far(60, 60))
    np.testing.assert_allclose(other[7:, 11:], one[:-7, :-11], atol=1e-6)


# ------------------------------ many streaks, depth


def test_overlaps_multiply():
    streaks = random_streaks(60, 130, np.random.default_rng(8), widest_px=20.0)
    product = np.ones((130, 130))
    for i in range(60):
        product *= 1 - np.minimum(coverage_sum(one_of(streaks, i), far(130, 130)).astype(np.float64), 1)
    # 60 products in single precision
    np.testing.assert_allclose(unhidden_fraction(streaks, far(130, 130)), product, atol=1e-5)


def test_the_order_of_streaks_does_not_show():
    rng = np.random.default_rng(9)
    streaks = random_streaks(3000, 160, rng, widest_px=4.0)
    depth_m = far(160, 160)
    forward = to_unit16(1 - unhidden_fraction(streaks, depth_m)).astype(int)
    mixed = to_unit16(1 - unhidden_fraction(chosen(streaks, rng.permutation(3000)), depth_m)).astype(int)
    # Hundreds of single-precision products per pixel differ by less than a step of 1/65535 in any order.
    assert np.abs(forward - mixed).max() <= 1


def test_alpha_is_a_fraction():
    # Drops frozen on top of each other, and large ones that fill pixels.
    rng = np.random.default_rng(10)
    streaks = make_streaks(
        rng.uniform(0, 40, 400), rng.uniform(0, 40, 400), 9.0, 8.0, 0.0, np.repeat([0.0, 1.0, 4.0, 12.0], 100)
    )
    free = unhidden_fraction(streaks, far(40, 40))
    assert free.min() >= 0 and free.max() <= 1
    assert np.all(np.isfinite(free))


def test_one_drop_covers_a_pixel_no_more_than_wholly():
    # Coverages of a frozen drop are scaled to add up to its area: with 4 x 4 points per pixel by at most 5 %.
    rng = np.random.default_rng(11)
    for _ in range(60):
        size_px = rng.uniform(1, 12)
        streak = make_streaks(*rng.uniform(14, 16, 2), size_px, size_px * rng.uniform(0.7, 1), 0.0, rng.uniform(0, 2))
        assert coverage_sum(streak, far(30, 30)).max() <= 1.05


@pytest.mark.parametrize("move", [(0.0, 0.5), (2.0, 30.0), (30.0, 2.0)])
def test_drops_behind_the_scene_are_hidden_by_it(move):
    streak = make_streaks(30.0, 30.0, 4.0, 4.0, *move, z_m=5.0)
    open_view = coverage_sum(streak, far(60, 60))
    depth_m = np.full((60, 60), 4.9, dtype=np.float32)
    assert coverage_sum(streak, depth_m).sum() == 0
    assert np.all(unhidden_fraction(streak, depth_m) == 1)
    depth_m[:, 30:] = 5.1  # the right half lies behind the drop
    half = coverage_sum(streak, depth_m)
    np.testing.assert_array_equal(half[:, 30:], open_view[:, 30:])
    assert half[:, :30].sum() == 0


def test_without_streaks_every_pixel_is_free():
    none = make_streaks(*[np.zeros(0)] * 6, z_m=np.zeros(0))
    assert np.all(unhidden_fraction(none, far(5, 7)) == 1)
    assert unhidden_fraction(none, far(5, 7)).shape == (5, 7)
