"""Real rain without truth: how much of a photograph's streaks is left, and how much of the rest is kept.

Both are needed: a method that blurs everything leaves no streak, one that does nothing keeps everything. Nothing here
was learned from people's judgements, so it says nothing of how good a picture looks; `rainsynth rate` asks people.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from pipelines.evaluation.figures import Judge, Row
from pipelines.evaluation.pairs import Mask, Photograph, Picture, grown
from rainsynth.checks import InputError
from rainsynth.measure.directions import ANGLES_DEG, direction_profile, main_direction_deg
from rainsynth.measure.streak_shape import autocorrelation
from rainsynth.metrics import SSIM_C1, SSIM_C2, SSIM_WINDOW_PX, luma, window_means

Channel = Float[np.ndarray, "h w"]

WIDEST_PX = 9  # across a row; what is bright and wider is scene
BRIGHTEST_CODES = 40.0  # choice: of thin detail when its direction is sought, so that a lamp does not decide
FLATTENED_PX = 8.0  # sigma: over which thin detail has no mean when its direction is sought
STEEPEST_DEG = 45.0  # from vertical: rain does not lie flatter
ASIDE_DEG = 30.0  # to either side of the streaks' direction, where the scene alone has energy
ALONG_PX, ACROSS_PX = 6.0, 1.2  # sigma of the filter's profiles: shorter than streaks are long; 2.5 px wide ridges
PROBE_PX = (0.75, 1.0, 0.75)  # profile of the streak, 2.5 px wide, whose contrast the filter gives back
STREAK_CODES = 8.0  # choice: response above which a pixel belongs to a streak
LEAST_SHARE = 0.01  # of the picture, for streaks to be measured, and for the rest


@dataclass(frozen=True, slots=True, eq=False)
class Streaks:
    """Streaks that a photograph seems to have: their direction [degrees from vertical], and the pixels they cover."""

    direction_deg: float
    mask: Mask

    @classmethod
    def of(cls, photo_srgb8: Picture) -> Streaks:
        """Streaks of a photograph: of its most energetic direction, pixels whose response is above 8 codes."""
        thin = thin_light(photo_srgb8)
        direction_deg = streak_direction_deg(thin)
        return cls(direction_deg, streak_response(thin, direction_deg) > STREAK_CODES)


def judge_photograph(photograph: Photograph, *, masks: bool = True) -> Judge:
    """What gives the figures of a derained photograph.

    direction_deg        of the streaks, from vertical, positive where the lower end lies to the right
    streak_fraction      part of the photograph that they cover
    streak_energy_left   their energy in the derained picture over that in the photograph: 1 all is left, 0 none.
                         Within the streaks, what the scene has at 30 degrees to either side taken off; with `masks` off
                         over the whole picture, nothing taken off
    rest_kept            SSIM-Y of the derained picture with the photograph over windows without a streak; with `masks`
                         off over all of them

    None where streaks, or the rest, are less than a hundredth of the photograph.
    """
    photo = photograph.rainy_srgb8
    if min(photo.shape[:2]) <= 2 * WIDEST_PX:
        raise InputError(f"{photograph.name} must be over {2 * WIDEST_PX} px a side, got {photo.shape[:2]}.")
    streaks = Streaks.of(photo)
    region = streaks.mask if masks else np.ones(photo.shape[:2], dtype=np.bool_)
    before = streak_energy(photo, streaks.direction_deg, region, aside=masks)
    rest = ~grown(streaks.mask, SSIM_WINDOW_PX) if masks else ~np.zeros(photo.shape[:2], dtype=np.bool_)
    measurable = before > 0 and streaks.mask.mean() >= LEAST_SHARE

    def judge(derained: Picture) -> Row:
        left = None
        if measurable:
            left = streak_energy(derained, streaks.direction_deg, region, aside=masks) / before
        return {
            "name": photograph.name,
            "class": "",
            "direction_deg": streaks.direction_deg,
            "streak_fraction": float(streaks.mask.mean()),
            "streak_energy_left": left,
            "rest_kept": similarity_within(derained, photo, rest),
        }

    return judge


def thin_light(picture_srgb8: Picture) -> Channel:
    """What of the luma is bright and narrower than 9 px along a row [codes]: Y less its opening by such a line."""
    y = luma(picture_srgb8).astype(np.float32)
    return y - cv2.morphologyEx(y, cv2.MORPH_OPEN, np.ones((1, WIDEST_PX), np.uint8))


def streak_direction_deg(thin: Channel) -> float:
    """Direction of thin light within 45 degrees of vertical [degrees], the highest ridge of its autocorrelation."""
    capped = np.minimum(thin, BRIGHTEST_CODES)
    flat = capped - cv2.GaussianBlur(capped, (0, 0), FLATTENED_PX)
    if flat.max() == flat.min():
        return 0.0
    profile = np.where(np.abs(ANGLES_DEG) <= STEEPEST_DEG, direction_profile(autocorrelation(flat)), 0)
    return main_direction_deg(profile / profile.sum()) if profile.sum() > 0 else 0.0


def streak_energy(picture_srgb8: Picture, direction_deg: float, region: Mask, *, aside: bool) -> float:
    """Mean square of the response along a direction over `region` [codes^2].

    With `aside` less the mean of the same at 30 degrees to either side, which is the scene's.
    """
    thin = thin_light(picture_srgb8)

    def energy(angle_deg: float) -> float:
        inside = streak_response(thin, angle_deg)[region]
        return float(np.mean(np.square(inside, dtype=np.float64))) if inside.size else 0.0

    along = energy(direction_deg)
    return along - (energy(direction_deg - ASIDE_DEG) + energy(direction_deg + ASIDE_DEG)) / 2 if aside else along


def streak_response(thin: Channel, direction_deg: float) -> Channel:
    """Contrast of bright ridges along a direction [codes], 0 for dark ones; a long streak 2.5 px wide has its own.

    Filter: Gaussian along, sigma 6 px, times the second derivative of a Gaussian across, sigma 1.2 px; its sum is 0.
    """
    response = cv2.filter2D(thin, cv2.CV_32F, _filter(direction_deg), borderType=cv2.BORDER_REFLECT)
    return np.maximum(response, 0)


def similarity_within(image_srgb8: Picture, reference_srgb8: Picture, region: Mask) -> float | None:
    """Mean SSIM-Y over the windows whose middle lies in `region`; None for less than a hundredth of all windows."""
    margin = SSIM_WINDOW_PX // 2
    middles = region[margin:-margin, margin:-margin]
    if middles.mean() < LEAST_SHARE:
        return None
    x, y = luma(image_srgb8), luma(reference_srgb8)
    mean_x, mean_y = window_means(x), window_means(y)
    covariance = window_means(x * y) - mean_x * mean_y
    variances = window_means(x**2 + y**2) - mean_x**2 - mean_y**2
    similarity = (2 * mean_x * mean_y + SSIM_C1) * (2 * covariance + SSIM_C2)
    similarity /= (mean_x**2 + mean_y**2 + SSIM_C1) * (variances + SSIM_C2)
    return float(similarity[middles].mean())


def _filter(direction_deg: float) -> Float[np.ndarray, "size size"]:
    """The filter of `streak_response`, scaled to give back the contrast of PROBE_PX."""
    upright = _ridge(0.0)
    middle = upright.shape[1] // 2
    gain = upright.sum(axis=0)[middle - 1 : middle + 2] @ np.array(PROBE_PX)
    return (_ridge(direction_deg) / gain).astype(np.float32)


def _ridge(direction_deg: float) -> Float[np.ndarray, "size size"]:
    reach_px = round(3 * ALONG_PX)
    y, x = np.mgrid[-reach_px : reach_px + 1, -reach_px : reach_px + 1]
    sine, cosine = np.sin(np.deg2rad(direction_deg)), np.cos(np.deg2rad(direction_deg))
    along, across = (x * sine + y * cosine) / ALONG_PX, (x * cosine - y * sine) / ACROSS_PX
    weights = np.exp(-(along**2 + across**2) / 2) * (1 - across**2)
    return weights - weights.mean()
