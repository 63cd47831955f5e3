"""Megapixels of rain a second on one core, beside other tools in the same run.

    python benchmarks/render_speed.py

Peers draw grey lines and nothing else: albumentations' RandomRain, and anti-aliased OpenCV lines, as many as we draw
streaks. Ours has depth, veil, drop light and linear light. Alternating runs; medians, and the ratio to ours.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import median

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations
import cv2
import numpy as np

from rainsynth import Background, Camera, RainEvent, render_rain

RATE_MM_H = 25.0
ROUNDS = 5


def our_rain(width_px: int, height_px: int, min_streak_width_px: float) -> tuple[Callable[[np.ndarray], object], int]:
    """Our renderer at 25 mm/h, 50 degrees, 1/250 s; and how many streaks it draws."""
    camera, event = Camera.from_fov(width_px, height_px), RainEvent(rain_rate_mm_h=RATE_MM_H)

    def render(photo_srgb8: np.ndarray) -> object:
        background = Background(photo_srgb8)
        return render_rain(background, event, camera, seed=0, min_streak_width_px=min_streak_width_px)

    photo = np.zeros((height_px, width_px, 3), np.uint8)
    return render, int(render(photo).parameters["drop_count"])  # type: ignore[attr-defined]


def opencv_lines(count: int) -> Callable[[np.ndarray], object]:
    """`count` anti-aliased grey lines, blended at one strength."""

    def render(photo_srgb8: np.ndarray) -> object:
        rng = np.random.default_rng(0)
        layer = np.zeros(photo_srgb8.shape[:2], np.uint8)
        starts = rng.integers(0, layer.shape[::-1], (count, 2))
        for x, y in starts.tolist():
            cv2.line(layer, (x, y), (x + 1, y + 12), 160, 1, cv2.LINE_AA)
        return cv2.add(photo_srgb8, cv2.cvtColor(layer, cv2.COLOR_GRAY2RGB))

    return render


def main() -> None:
    """Print the table."""
    cv2.setNumThreads(1)
    augmentation = albumentations.RandomRain(p=1.0)
    for width_px, height_px in ((512, 512), (1920, 1080)):
        photo = np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
        ours, count = our_rain(width_px, height_px, 0.25)
        coarse, coarse_count = our_rain(width_px, height_px, 1.0)
        tools: dict[str, Callable[[np.ndarray], object]] = {
            f"rainsynth, streaks from 0.25 px ({count})": ours,
            f"rainsynth, streaks from 1 px ({coarse_count})": coarse,
            f"OpenCV lines ({count})": opencv_lines(count),
            "albumentations RandomRain": lambda photo: augmentation(image=photo)["image"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in tools}
        for turn in range(ROUNDS + 1):
            for name, render in tools.items():
                started = time.perf_counter()
                render(photo)
                if turn:  # the first round warms up
                    seconds[name].append(time.perf_counter() - started)
        reference = median(next(iter(seconds.values())))
        print(f"{width_px}x{height_px}, {RATE_MM_H:g} mm/h, one core")
        for name, times in seconds.items():
            middle = median(times)
            speed = width_px * height_px / 1e6 / middle
            print(f"  {name:48} {1e3 * middle:8.1f} ms {speed:8.1f} MP/s {reference / middle:7.2f} x ours")


if __name__ == "__main__":
    main()
