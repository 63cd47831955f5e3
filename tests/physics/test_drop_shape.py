"""Flattening of drops: the published polynomial's values, and the geometry of a flattened sphere."""

from __future__ import annotations

import numpy as np
import pytest

from rainsynth.checks import InputError
from rainsynth.physics import axis_ratio, projected_area_ratio
from rainsynth.scene.drops import horizontal_diameter_mm


@pytest.mark.parametrize(
    ("diameter_mm", "expected"), [(1.0, 0.983), (2.0, 0.928), (3.0, 0.856), (4.0, 0.779), (5.0, 0.706), (6.0, 0.640)]
)
def test_axis_ratio_has_the_values_of_beard_and_chuang(diameter_mm, expected):
    # Beard & Chuang (1987), table of equilibrium shapes, three digits.
    assert axis_ratio(np.array([diameter_mm]))[0] == pytest.approx(expected, abs=6e-4)


def test_small_drops_are_spheres_and_none_is_upright():
    ratio = axis_ratio(np.linspace(0.0, 8.0, 2000))
    assert ratio.max() == 1.0
    assert np.all(axis_ratio(np.linspace(0.0, 0.4, 50)) == 1.0)
    assert ratio.min() > 0.5  # 8 mm: 0.526, the end of the extrapolation


def test_larger_drops_are_flatter():
    assert np.all(np.diff(axis_ratio(np.linspace(0.5, 8.0, 500))) < 0)


@pytest.mark.parametrize(("diameter_mm", "expected"), [(3.0, 0.949), (6.0, 0.862)])
def test_projected_area_ratio_is_the_cube_root_of_the_axis_ratio(diameter_mm, expected):
    assert projected_area_ratio(np.array([diameter_mm]))[0] == pytest.approx(expected, abs=6e-4)


def test_the_axes_of_a_drop_keep_its_volume_and_give_its_projected_area():
    # A spheroid of axes a, a, b has the volume pi/6 a^2 b; from the side it is an ellipse of area pi/4 a b.
    diameter_mm = np.linspace(0.1, 8.0, 80)
    a = horizontal_diameter_mm(diameter_mm)
    b = a * axis_ratio(diameter_mm)
    np.testing.assert_allclose(a**2 * b, diameter_mm**3, rtol=1e-12)
    np.testing.assert_allclose(a * b, diameter_mm**2 * projected_area_ratio(diameter_mm), rtol=1e-12)


def test_axis_ratio_takes_one_diameter_as_well_as_many():
    assert float(axis_ratio(3.0)) == axis_ratio(np.array([3.0]))[0]
    assert float(projected_area_ratio(3.0)) == projected_area_ratio(np.array([3.0]))[0]


@pytest.mark.parametrize("diameter_mm", [-0.1, 8.1, np.nan])
def test_axis_ratio_refuses_diameters_outside_its_range(diameter_mm):
    with pytest.raises(InputError, match="diameter_mm"):
        axis_ratio(np.array([diameter_mm]))
