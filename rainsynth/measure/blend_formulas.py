"""Formulas of a blend, pixel by pixel: what they give, and how it changes with their numbers.

Every formula has the form  rainy = x U + W  at a pixel, with U and W made of the clean picture B and a few numbers,
and at most one number x of the pixel's own, the strength of a streak:

    VEIL                 W = t B + (1 - t) A                       no x: nothing finer than t
    ADDED                W = t B + (1 - t) A,       U = E           x = S, rain of colour E; grey is (1, 1, 1)
    BEFORE_VEIL          W = E,       U = t B + (1 - t) A - E       x = 1 - a
    BEHIND_VEIL          W = t E + (1 - t) A,       U = t (B - E)   x = 1 - a

t is bilinear between the nodes of a grid; A and E are the colours of veil and streaks. All numbers of a formula stand
in one array: t at the nodes, A (3), E (3). x is that of least squares, so it is eliminated (variable projection: Golub
& Pereyra 1973, doi:10.1137/0710036, with Kaufman's simplification). `unit` is how many codes a unit of the rainy value
is worth, 0 where it is not known.
"""

from __future__ import annotations

import numpy as np
from numba import njit

VEIL, ADDED, BEFORE_VEIL, BEHIND_VEIL = range(4)
HIGHEST_KEPT = 2.0  # of x = 1 - a: texture of rain too small to draw may brighten what is behind it
HIGHEST_ADDED = 1e9  # of x = S: no limit
SMALLEST = 1e-12
T, A, E = 0, 1, 4  # columns of a pixel's slopes: t, three of A, three of E
COLUMNS = 7


@njit(cache=True, nogil=True)
def fitted_values(rainy, clean, unit, node, share, kind, numbers):  # type: ignore[no-untyped-def]
    """x (n,) and the fitted value (n, 3) of every pixel."""
    strength, fitted = np.empty(len(rainy)), np.empty((len(rainy), 3))
    u, w = np.empty(3), np.empty(3)
    for p in range(len(rainy)):
        _formula(kind, clean[p], _transmission(numbers, node[p], share[p]), numbers[-6:-3], numbers[-3:], u, w)
        strength[p], _ = _strength(kind, rainy[p], unit[p], u, w)
        for c in range(3):
            fitted[p, c] = strength[p] * u[c] + w[c]
    return strength, fitted


@njit(cache=True, nogil=True)
def pixel_misses(rainy, clean, unit, node, share, kind, numbers):  # type: ignore[no-untyped-def]
    """Root of the sum of squared misses of every pixel [codes], (n,)."""
    _, fitted = fitted_values(rainy, clean, unit, node, share, kind, numbers)
    misses = np.zeros(len(rainy))
    for p in range(len(rainy)):
        for c in range(3):
            misses[p] += (unit[p, c] * (rainy[p, c] - fitted[p, c])) ** 2
        misses[p] = np.sqrt(misses[p])
    return misses


@njit(cache=True, nogil=True)
def normal_equations(rainy, clean, unit, node, share, kind, numbers, scale_codes, veil):  # type: ignore[no-untyped-def]
    """Gauss-Newton matrix and right side for all numbers; t and A are left out without `veil`.

    Pixels that miss by many codes count less: 1 / (1 + (miss / scale)^2).
    """
    size, first = len(numbers), T if veil else E
    normal, right = np.zeros((size, size)), np.zeros(size)
    u, w, weight, miss = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    slopes, own, own_right = np.zeros((3, COLUMNS)), np.zeros((COLUMNS, COLUMNS)), np.zeros(COLUMNS)
    for p in range(len(rainy)):
        t = _transmission(numbers, node[p], share[p])
        _formula(kind, clean[p], t, numbers[-6:-3], numbers[-3:], u, w)
        x, inside = _strength(kind, rainy[p], unit[p], u, w)
        square = 0.0
        for c in range(3):
            miss[c] = rainy[p, c] - x * u[c] - w[c]
            square += (unit[p, c] * miss[c]) ** 2
        for c in range(3):
            weight[c] = unit[p, c] ** 2 / (1 + square / scale_codes**2)
        _slopes(kind, clean[p], t, numbers[-6:-3], numbers[-3:], x, slopes)
        if inside:
            _eliminate_strength(slopes, weight, u, first)
        _own_equations(slopes, weight, miss, first, own, own_right)
        _add_own(normal, right, own, own_right, node[p], share[p], first)
    for j in range(size):
        for k in range(j):
            normal[j, k] = normal[k, j]
    return normal, right


@njit(cache=True, nogil=True)
def solve_positive(matrix, right):  # type: ignore[no-untyped-def]
    """Solve a symmetric positive system by Cholesky, row by row from each row's first entry that is not zero.

    Nodes are tied to those around them alone, so that most entries are zero; one thread, the same bytes everywhere.
    """
    size = len(right)
    lower, first, solution = np.zeros((size, size)), np.zeros(size, np.int64), right.copy()
    for i in range(size):
        while first[i] < i and matrix[i, first[i]] == 0.0:
            first[i] += 1
        for j in range(first[i], i + 1):
            value = matrix[i, j]
            for k in range(max(first[i], first[j]), j):
                value -= lower[i, k] * lower[j, k]
            lower[i, j] = value / lower[j, j] if j < i else np.sqrt(max(value, SMALLEST))
        for k in range(first[i], i):
            solution[i] -= lower[i, k] * solution[k]
        solution[i] /= lower[i, i]
    for i in range(size - 1, -1, -1):
        solution[i] /= lower[i, i]
        for k in range(first[i], i):
            solution[k] -= lower[i, k] * solution[i]
    return solution


@njit(cache=True, nogil=True)
def _transmission(numbers, node, share):  # type: ignore[no-untyped-def]
    t = 0.0
    for k in range(4):
        t += share[k] * numbers[node[k]]
    return t


@njit(cache=True, nogil=True)
def _formula(kind, clean, t, airlight, light, u, w):  # type: ignore[no-untyped-def]
    """U and W of one pixel."""
    for c in range(3):
        veiled = t * clean[c] + (1 - t) * airlight[c]
        if kind == VEIL:
            u[c], w[c] = 0.0, veiled
        elif kind == ADDED:
            u[c], w[c] = light[c], veiled
        elif kind == BEFORE_VEIL:
            u[c], w[c] = veiled - light[c], light[c]
        else:
            u[c], w[c] = t * (clean[c] - light[c]), t * light[c] + (1 - t) * airlight[c]


@njit(cache=True, nogil=True)
def _strength(kind, rainy, unit, u, w):  # type: ignore[no-untyped-def]
    """x of one pixel by least squares within its limits, and whether it lies inside them."""
    top, bottom = 0.0, 0.0
    for c in range(3):
        top += unit[c] ** 2 * u[c] * (rainy[c] - w[c])
        bottom += unit[c] ** 2 * u[c] * u[c]
    if bottom <= SMALLEST:
        return (0.0 if kind <= ADDED else 1.0), False
    highest = HIGHEST_ADDED if kind == ADDED else HIGHEST_KEPT
    x = top / bottom
    return min(max(x, 0.0), highest), 0.0 < x < highest


@njit(cache=True, nogil=True)
def _slopes(kind, clean, t, airlight, light, x, slopes):  # type: ignore[no-untyped-def]
    """Slopes of x U + W at fixed x."""
    for c in range(3):
        for j in range(A, COLUMNS):
            slopes[c, j] = 0.0
        if kind <= ADDED:
            slopes[c, T], slopes[c, A + c] = clean[c] - airlight[c], 1 - t
            slopes[c, E + c] = x if kind == ADDED else 0.0
        elif kind == BEFORE_VEIL:
            slopes[c, T], slopes[c, A + c], slopes[c, E + c] = x * (clean[c] - airlight[c]), x * (1 - t), 1 - x
        else:
            slopes[c, T], slopes[c, A + c] = x * (clean[c] - light[c]) + light[c] - airlight[c], 1 - t
            slopes[c, E + c] = t * (1 - x)


@njit(cache=True, nogil=True)
def _eliminate_strength(slopes, weight, u, first):  # type: ignore[no-untyped-def]
    """Take off the slopes what a change of x can do as well."""
    bottom = 0.0
    for c in range(3):
        bottom += weight[c] * u[c] * u[c]
    for j in range(first, COLUMNS):
        along = 0.0
        for c in range(3):
            along += weight[c] * u[c] * slopes[c, j]
        for c in range(3):
            slopes[c, j] -= u[c] * along / bottom


@njit(cache=True, nogil=True)
def _own_equations(slopes, weight, miss, first, own, own_right):  # type: ignore[no-untyped-def]
    """A pixel's part of the equations, for its t, A and E."""
    for j in range(first, COLUMNS):
        own_right[j] = 0.0
        for c in range(3):
            own_right[j] += weight[c] * slopes[c, j] * miss[c]
        for k in range(j, COLUMNS):
            own[j, k] = 0.0
            for c in range(3):
                own[j, k] += weight[c] * slopes[c, j] * slopes[c, k]


@njit(cache=True, nogil=True)
def _add_own(normal, right, own, own_right, node, share, first):  # type: ignore[no-untyped-def]
    """Add a pixel's part: its t is shared by four nodes. The upper triangle alone."""
    colours = len(right) - COLUMNS
    for j in range(max(first, A), COLUMNS):
        right[colours + j] += own_right[j]
        for k in range(j, COLUMNS):
            normal[colours + j, colours + k] += own[j, k]
    if first > T:
        return
    for i in range(4):
        right[node[i]] += own_right[T] * share[i]
        for k in range(4):
            if node[k] >= node[i]:
                normal[node[i], node[k]] += own[T, T] * share[i] * share[k]
        for k in range(A, COLUMNS):
            normal[node[i], colours + k] += own[T, k] * share[i]
