"""What each part of the rain does to a picture, preset by preset: the table of docs/presets.md.

    python docs/preset_table.py > docs/presets.md

Eight samples of every preset on the bundled photographs: PSNR on Y against the clean photograph of streaks alone, of
the texture of rain too small to draw alone, of the veil alone, and of all; and the 99th percentile of the change.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from pipelines.bundled import HELD_OUT_PHOTOS, TRAINING_PHOTOS, unpack
from rainsynth import RainSample, add_rain
from rainsynth.compositing import compose
from rainsynth.layer_steps import UNIT_STEPS, no_texture
from rainsynth.metrics import psnr_y
from rainsynth.pictures import list_photos, read_photo
from rainsynth.presets import PRESETS, Preset
from rainsynth.sensor import SensorNoise

INDICES = range(8)
HEAD = """# What presets show

Made by `python docs/preset_table.py`: {samples} samples of each preset on {photos} bundled photographs (seed 0). PSNR
on Y in dB, mean over samples, of one part of the rain alone and of all; higher is less rain. *change* is the 99th
percentile of the change of a code, of all parts.

| preset | mm/h | exposure s | view deg | sky | streaks | texture | veil | all | change |
|---|---|---|---|---|---|---|---|---|---|"""
TAIL = """
Distances: no drop is nearer than 0.3 to 1 m (a lens hood, a window, a roof); lenses of up to 2 mm aperture are
focused at 3 to 20 m, so that near drops are soft. Spectra and winds: `rainsynth/presets.py`.

## Where streaks are hard to see, and why

A drop covers a pixel for its residence time, about 0.3 ms, so a streak's alpha is 0.3 ms over the exposure: a third
at 1/1000 s, a twentieth at 1/160 s, a hundredth at 1/30 s. What it adds is alpha times the difference between its own
light and what it hides. So streaks show with short exposures, before dark backgrounds, under a bright sky, and
through long lenses, whose pixels are no larger than drops a few metres away. In `light` and `drizzle` there are few
drops wide enough to be drawn; in `long-exposure` each is faint, and overlapping streaks become texture and veil. With
the defaults of `add_rain`, a 50 degree view, 1/250 s and a sky no brighter than the picture's white, streaks alone
are 50 dB and more at 25 mm/h: that is what such a camera sees, and the veil decides.
"""


def parts(sample: RainSample) -> dict[str, np.ndarray]:
    """The picture with streaks alone, texture alone, veil alone, and all of them without noise."""
    clear = np.full(sample.transmission16.shape, UNIT_STEPS, dtype=np.uint16)
    dry, plain = np.zeros_like(clear), no_texture(*clear.shape)

    def picture(transmission16: np.ndarray, alpha16: np.ndarray, texture16: np.ndarray) -> np.ndarray:
        """The photograph behind these layers, without noise."""
        light, noise = sample.light_grid_linear, SensorNoise()
        return compose(
            sample.clean_srgb8, transmission16, sample.airlight_linear, alpha16, light, noise, texture16=texture16
        )

    return {
        "streaks": picture(clear, sample.streak_alpha16, plain),
        "texture": picture(clear, dry, sample.texture16),
        "veil": picture(sample.transmission16, dry, plain),
        "all": picture(sample.transmission16, sample.streak_alpha16, sample.texture16),
    }


def row(name: str, preset: Preset, photos: list[np.ndarray]) -> str:
    """One line of the table."""
    figures: dict[str, list[float]] = {}
    for index in INDICES:
        sample = add_rain(photos[index % len(photos)], preset=name, seed=0, index=index)
        pictures = parts(sample)
        for part, picture in pictures.items():
            figures.setdefault(part, []).append(min(psnr_y(picture, sample.clean_srgb8), 99.0))
        change = np.abs(pictures["all"].astype(int) - sample.clean_srgb8)
        figures.setdefault("change", []).append(float(np.percentile(change, 99)))
    ranges = (preset.rain_rate_mm_h, preset.field_of_view_deg, preset.sky_linear)
    rate, view, sky = (f"{low:g} to {high:g}" for low, high in ranges)
    exposure = " to ".join(f"1/{1 / s:.0f}" for s in preset.exposure_s)
    cells = [f"{np.mean(figures[part]):.1f}" for part in ("streaks", "texture", "veil", "all")]
    return " | ".join([f"| `{name}`", rate, exposure, view, sky, *cells, f"{np.mean(figures['change']):.0f} |"])


def main() -> None:
    """Print the page."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(TRAINING_PHOTOS + HELD_OUT_PHOTOS, Path(folder))
        photos = [read_photo(path) for path in list_photos(Path(folder))]
    print(HEAD.format(samples=len(INDICES), photos=len(photos)))
    for name, preset in PRESETS.items():
        print(row(name, preset, photos))
    print(TAIL, end="")


if __name__ == "__main__":
    main()
