"""The gallery of docs/gallery.md, from photographs that ship inside wheels.

    python docs/gallery.py

Writes docs/pictures/gallery_*.jpg: light to violent rain by day and at dusk, three distances, a true depth map,
exposures, and the look-alikes of benchmark sets; and rain.gif, a shower filmed at 100 frames a second. A minute.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from pipelines.bundled import HELD_OUT_PHOTOS, TRAINING_PHOTOS, unpack
from pipelines.sheets import contact_sheet
from pipelines.video import bundled_gif
from rainsynth import Background, Camera, RainEvent, add_rain, render_rain
from rainsynth.lookalikes import LOOKALIKES
from rainsynth.named_rain import render_preset
from rainsynth.pictures import read_photo, write_picture

PICTURES = Path(__file__).parent / "pictures"
CLASSES = ("light", "moderate", "heavy", "violent")
CELL_PX = 420
DUSK = {"sky_linear": 0.15, "highlight_linear": 200.0}
SHOWN_PX = 640  # photographs are shown at this width, so that streaks are seen as they are


def photo(folder: Path, name: str) -> np.ndarray:
    """A bundled photograph, at most SHOWN_PX wide."""
    path = next(path for path in folder.iterdir() if path.stem == name and path.suffix != ".npy")
    picture = read_photo(path)
    step = -(-picture.shape[1] // SHOWN_PX)
    return np.ascontiguousarray(picture[::step, ::step])


def rates(folder: Path) -> list[list[tuple[str, np.ndarray]]]:
    """Two photographs by day and one at dusk, under the four classes of rain; at dusk the sky is a dim one."""
    rows = []
    for name, title, sky in (("china", "day", {}), ("flower", "dark leaves", {}), ("rocket", "dusk", DUSK)):
        background = Background(photo(folder, name))
        rained = [(preset, render_preset(background, preset, seed=4, **sky).rainy_srgb8) for preset in CLASSES]
        rows.append([(f"clean, {title}", background.image_srgb8), *rained])
    return rows


def distances(folder: Path) -> list[list[tuple[str, np.ndarray]]]:
    """The same rain before a scene at three distances, and before one whose depth is known."""
    picture = photo(folder, "coffee")
    height_px, width_px = picture.shape[:2]
    camera = Camera.from_fov(width_px, height_px, 25.0, exposure_s=1 / 320)
    event = RainEvent(rain_rate_mm_h=60.0, wind_m_s=(1.5, 0.0), sky_linear=3.0)
    row = [
        (f"everything {depth_m:g} m away", render_rain(Background(picture, depth_m), event, camera, seed=2).rainy_srgb8)
        for depth_m in (3.0, 20.0, 100.0)
    ]
    motorcycle = read_photo(folder / "motorcycle.png")
    depth_m = np.load(folder / "motorcycle.npy")
    view = Camera.from_fov(motorcycle.shape[1], motorcycle.shape[0], 40.0, exposure_s=1 / 320)
    near = render_rain(Background(motorcycle, depth_m), event, view, seed=2)
    return [[*row, ("true depth, 2 to 10 m", near.rainy_srgb8)]]


def exposures(folder: Path) -> list[list[tuple[str, np.ndarray]]]:
    """One shower, one lens, four exposures: from drops that stand to a veil with texture."""
    picture = photo(folder, "china")
    row = []
    for denominator in (2000, 500, 125, 30):
        camera = Camera.from_fov(picture.shape[1], picture.shape[0], 12.0, exposure_s=1 / denominator, aperture_mm=2.0)
        event = RainEvent(rain_rate_mm_h=60.0, wind_m_s=(2.0, 0.0), sky_linear=4.0)
        row.append((f"1/{denominator} s", render_rain(Background(picture), event, camera, seed=1).rainy_srgb8))
    return [row]


def look_alikes(folder: Path) -> list[list[tuple[str, np.ndarray]]]:
    """Benchmark sets' kinds of rain on photographs that they do not hold."""
    return [
        [(name, add_rain(photo(folder, stem), preset=name, seed=3).rainy_srgb8) for name in LOOKALIKES]
        for stem in ("china", "coffee")
    ]


def main() -> None:
    """Write every picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unpack(TRAINING_PHOTOS + HELD_OUT_PHOTOS, folder)
        for title, rows in (
            ("rates", rates(folder)),
            ("distances", distances(folder)),
            ("exposures", exposures(folder)),
            ("look_alikes", look_alikes(folder)),
        ):
            if rows[0]:
                write_picture(PICTURES / f"gallery_{title}.jpg", contact_sheet(rows, CELL_PX))
                print(f"wrote docs/pictures/gallery_{title}.jpg")
    bundled_gif(PICTURES / "rain.gif", frame_rate_hz=100.0)
    print("wrote docs/pictures/rain.gif")


if __name__ == "__main__":
    main()
