"""Rain blended with a photograph on display codes, as the makers of the field's benchmark sets did.

    additive          min(255, B + S)                    Rain100L, Rain100H (measured: bit-exact, S grey)
    heavy-rain        (B + S) t + (1 - t) A              Outdoor-Rain: Li, Cheong & Tan (2019), CVPR, eq. 3
    raincityscapes    B (1 - R - F) + R + A F            RainCityscapes: Hu et al. (2019), CVPR; R = S, F = 1 - t

B is the clean picture, S the streaks, t the transmission, A the airlight. It is not how light adds up (`compositing`
does that): a pair blended here is as wrong as the sets are, on purpose. All arithmetic is in whole numbers, so the
result is the exact value rounded to the nearest code, the same on every machine; the denominators are odd, so that
nothing lies halfway. Codes outside 0 to 255 are clipped.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8, UInt16
from numba import njit

from rainsynth.checks import InputError, check_choice, check_photo
from rainsynth.layer_steps import UNIT_STEPS

DISPLAY_BLENDS = ("additive", "heavy-rain", "raincityscapes")

WHITE_CODE = 255
STEPS_PER_CODE = UNIT_STEPS // WHITE_CODE  # 65535 = 255 * 257: a streak of k codes is 257 k steps exactly


def blend_on_display(
    blend: str,
    clean_srgb8: UInt8[np.ndarray, "h w 3"],
    streak16: UInt16[np.ndarray, "h w"],
    transmission16: UInt16[np.ndarray, "h w"],
    airlight_srgb8: UInt8[np.ndarray, "3"],
) -> UInt8[np.ndarray, "h w 3"]:
    """The rainy picture of one of `DISPLAY_BLENDS`; `streak16` is S, 65535 for 255 codes. "additive" uses S alone.

    Raises InputError for an unknown blend, and for layers of another type or size than the picture's.
    """
    check_choice(blend, DISPLAY_BLENDS, "blend")
    check_photo(clean_srgb8, "clean_srgb8")
    check_layer(streak16, clean_srgb8.shape[:2], "streak16")
    check_layer(transmission16, clean_srgb8.shape[:2], "transmission16")
    if np.shape(airlight_srgb8) != (3,) or np.asarray(airlight_srgb8).dtype != np.uint8:
        raise InputError(f"airlight_srgb8 must be three uint8 codes, got {airlight_srgb8!r}. In [0, 1]? Times 255.")
    rainy_srgb8 = np.empty(clean_srgb8.shape, dtype=np.uint8)
    _blend(DISPLAY_BLENDS.index(blend), rainy_srgb8, clean_srgb8, streak16, transmission16, airlight_srgb8)
    return rainy_srgb8


def check_layer(layer16: UInt16[np.ndarray, "h w"], shape: tuple[int, int], name: str) -> None:
    """Raise InputError unless a layer is uint16 of this shape."""
    if getattr(layer16, "dtype", None) != np.uint16 or layer16.shape != shape:
        got = f"{getattr(layer16, 'dtype', type(layer16).__name__)} {np.shape(layer16)}"
        raise InputError(f"{name} must be uint16 of shape {shape}, got {got}. Codes become steps times 257.")


@njit(cache=True, nogil=True)
def _blend(kind, rainy, clean, streak16, transmission16, airlight):  # type: ignore[no-untyped-def]
    for y in range(clean.shape[0]):
        for x in range(clean.shape[1]):
            s, t = np.int64(streak16[y, x]), np.int64(transmission16[y, x])
            for c in range(3):
                b, a = np.int64(clean[y, x, c]), np.int64(airlight[c])
                if kind == 0:
                    code = (b * STEPS_PER_CODE + s + STEPS_PER_CODE // 2) // STEPS_PER_CODE
                elif kind == 1:
                    steps = (b * STEPS_PER_CODE + s) * t + a * STEPS_PER_CODE * (UNIT_STEPS - t)
                    whole = UNIT_STEPS * STEPS_PER_CODE
                    code = (steps + whole // 2) // whole
                else:
                    steps = b * (t - s) + WHITE_CODE * s + a * (UNIT_STEPS - t)  # 1 - R - F = t - R; never below 0
                    code = (steps + UNIT_STEPS // 2) // UNIT_STEPS
                rainy[y, x, c] = min(code, WHITE_CODE)
