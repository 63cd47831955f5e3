"""Extinction, transmission and visibility of rain against closed forms, quadrature and published spreads."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from scipy.integrate import quad

from rainsynth.checks import InputError
from rainsynth.physics import SPECTRA, drop_density_per_m3_mm, extinction_per_km, transmission, visibility_m
from rainsynth.physics.drop_size import mean_square_diameter_mm2_m3

# Published Marshall-Palmer: R [mm/h] -> beta [1/km], Koschmieder visibility 3.912 / beta [m], t over 100 m.
MARSHALL_PALMER_VEIL = {
    5: (1.005, 3892, 0.904),
    25: (2.771, 1412, 0.758),
    50: (4.288, 912, 0.651),
    100: (6.636, 590, 0.515),
    200: (10.27, 381, 0.358),
}


@pytest.mark.parametrize("rate_mm_h", [0.1, 1.0, 5.0, 25.0, 50.0, 100.0, 200.0, 300.0])
def test_published_marshall_palmer_dims_by_its_closed_form(rate_mm_h):
    # beta = 1e-3 pi N0 / Lambda^3 = 0.3647 R^0.63 per km at Q = 2; the constant has four digits.
    beta_per_km = extinction_per_km(rate_mm_h, "marshall-palmer", normalize=False)
    assert beta_per_km == pytest.approx(0.3647 * rate_mm_h**0.63, rel=2e-4)


@pytest.mark.parametrize("rate_mm_h", MARSHALL_PALMER_VEIL)
def test_extinction_visibility_and_transmission_have_their_tabulated_values(rate_mm_h):
    beta, visibility, t_100_m = MARSHALL_PALMER_VEIL[rate_mm_h]
    beta_per_km = extinction_per_km(rate_mm_h, "marshall-palmer", normalize=False)
    assert beta_per_km == pytest.approx(beta, rel=5e-4)  # four digits
    assert visibility_m(beta_per_km) == pytest.approx(visibility, rel=1.5e-3)  # three digits
    assert transmission(beta_per_km, np.array([100.0]))[0] == pytest.approx(t_100_m, abs=6e-4)  # three decimals


@pytest.mark.parametrize(
    ("spectrum", "beta"),
    [
        ("joss-thunderstorm", 1.9),
        ("best", 2.7),
        ("joss-widespread", 3.8),
        ("marshall-palmer", 4.3),
        ("joss-drizzle", 6.0),
    ],
)
def test_types_of_rain_differ_by_a_factor_of_three_at_50_mm_h(spectrum, beta):
    assert extinction_per_km(50.0, spectrum, normalize=False) == pytest.approx(beta, abs=0.05)  # one decimal


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("rate_mm_h", [0.5, 20.0, 200.0])
def test_second_moment_agrees_with_quadrature(spectrum, rate_mm_h, normalize):
    def integrand(log_diameter: float) -> float:
        diameter_mm = np.exp(log_diameter)
        density = drop_density_per_m3_mm(np.array([diameter_mm]), rate_mm_h, spectrum, normalize)
        return float(density[0]) * diameter_mm**3

    # In ln D, from 1e-6 mm: Best's spectrum rises as D^-1.75 towards small drops, so 1e-7 of it lies below.
    total, _ = quad(integrand, np.log(1e-6), np.log(60.0), limit=400, epsrel=1e-9)
    assert mean_square_diameter_mm2_m3(rate_mm_h, spectrum, normalize) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_less_rain_dims_less_however_little_it_is(spectrum):
    # Down to a trace, as a slider or an optimiser meets it: beta falls with the rate, or the rate is refused.
    beta_per_km = []
    for rate_mm_h in np.geomspace(1e-9, 500.0, 60):
        with contextlib.suppress(InputError):
            beta_per_km.append(extinction_per_km(float(rate_mm_h), spectrum))
    assert len(beta_per_km) >= 20
    assert np.all(np.diff(beta_per_km) > 0)
    assert beta_per_km[0] < 0.1


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_only_the_efficiency_separates_geometric_from_full_extinction(spectrum):
    full, geometric = (extinction_per_km(20.0, spectrum, q_ext=q) for q in (2.0, 1.0))
    assert full == pytest.approx(2 * geometric, rel=1e-12)


def test_clear_air_dims_nothing():
    assert extinction_per_km(0.0) == 0
    assert visibility_m(0.0) == np.inf
    assert np.all(transmission(0.0, np.array([0.0, 1e4])) == 1)


def test_transmission_multiplies_along_the_path():
    parts = transmission(3.0, np.array([100.0, 250.0, 350.0]))
    assert parts[0] * parts[1] == pytest.approx(parts[2], rel=1e-12)


def test_transmission_takes_one_distance_as_well_as_many():
    assert float(transmission(2.0, 500.0)) == pytest.approx(np.exp(-1))


def test_koschmieder_visibility_leaves_2_percent_contrast():
    beta_per_km = extinction_per_km(50.0)
    # 3.912 is -ln 0.02 to four digits.
    assert transmission(beta_per_km, np.array([visibility_m(beta_per_km)]))[0] == pytest.approx(0.02, rel=1e-3)


@pytest.mark.parametrize("q_ext", [0.99, 2.01, np.nan])
def test_extinction_refuses_efficiencies_outside_one_to_two(q_ext):
    with pytest.raises(InputError, match="q_ext"):
        extinction_per_km(5.0, q_ext=q_ext)
