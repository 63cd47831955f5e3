"""Megapixels of rain a second on one core, beside other tools in the same run; and what they cost.

    python benchmarks/render_speed.py

Peers draw grey lines and nothing else: albumentations' and kornia's RandomRain, imgaug's Rain, and anti-aliased OpenCV
lines, as many as we draw streaks. Ours has depth, streaks, texture, veil, drop light and linear light. Peers that are
not installed are left out (`pip install kornia imgaug`). Alternating runs; medians, and the ratio to ours.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import albumentations
import cv2
import numpy as np

from rainsynth import Background, Camera, RainEvent, RainSample, recompose, render_rain
from rainsynth.named_rain import render_preset
from rainsynth.optics.rasterize import draw_alpha16
from rainsynth.optics.streak import project
from rainsynth.optics.texture import texture_of
from rainsynth.optics.texture_field import draw_texture
from rainsynth.render import MIN_STREAK_WIDTH_PX, take_shot
from rainsynth.scene.drops import sample_drops

RATE_MM_H = 25.0
ROUNDS = 9
CROPS_PX = (64, 96, 128)
PHOTOGRAPH_PX = (481, 321)  # of the windows, as in the field's sets of photographs
RATES_MM_H = (1.0, 5.0, 25.0, 50.0, 100.0, 200.0)
SIZES_PX = ((640, 400), (960, 540), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))
Tool = Callable[[np.ndarray], object]

FIRST_PICTURE = """
import time; started = time.perf_counter()
import numpy as np, rainsynth
rainsynth.add_rain(np.zeros((512, 512, 3), np.uint8), 25.0)
print(time.perf_counter() - started)
"""


def ours(width_px: int, height_px: int, rate_mm_h: float = RATE_MM_H, threads: int = 1, **camera: float) -> Tool:
    """Our renderer: 50 degrees, 1/250 s, level ground; the photograph is new each time."""
    view, event = Camera.from_fov(width_px, height_px, **camera), RainEvent(rain_rate_mm_h=rate_mm_h)
    return lambda photo: render_rain(Background(photo), event, view, seed=0, threads=threads)


def ours_on_a_map(width_px: int, height_px: int) -> Tool:
    """The same with a depth for every pixel."""
    view, event = Camera.from_fov(width_px, height_px), RainEvent(rain_rate_mm_h=RATE_MM_H)
    depth_m = np.random.default_rng(0).uniform(2, 60, (height_px, width_px)).astype(np.float32)
    depth_m = cv2.blur(depth_m, (31, 31))
    return lambda photo: render_rain(Background(photo, depth_m), event, view, seed=0)


def opencv_lines(count: int) -> Tool:
    """`count` anti-aliased grey lines, blended at one strength."""

    def render(photo_srgb8: np.ndarray) -> object:
        rng = np.random.default_rng(0)
        layer = np.zeros(photo_srgb8.shape[:2], np.uint8)
        starts = rng.integers(0, layer.shape[::-1], (count, 2))
        for x, y in starts.tolist():
            cv2.line(layer, (x, y), (x + 1, y + 12), 160, 1, cv2.LINE_AA)
        return cv2.add(photo_srgb8, cv2.cvtColor(layer, cv2.COLOR_GRAY2RGB))

    return render


def peers() -> dict[str, Tool]:
    """Rain of other packages, at their defaults, those that are installed."""
    augmentation = albumentations.RandomRain(p=1.0)
    tools: dict[str, Tool] = {"albumentations RandomRain": lambda photo: augmentation(image=photo)["image"]}
    try:
        import kornia.augmentation
        import torch

        torch.set_num_threads(1)
        rain = kornia.augmentation.RandomRain(p=1.0)
        tools["kornia RandomRain"] = lambda photo: rain(
            torch.from_numpy(photo).permute(2, 0, 1)[None].float().div_(255)
        )
    except ImportError:
        print("kornia is not installed")
    try:
        if not hasattr(np, "sctypes"):  # imgaug 0.4 reads it on import; NumPy 2 took it away
            setattr(np, "sctypes", {"int": [np.int8], "uint": [np.uint8], "float": [np.float32]})  # noqa: B010
        import imgaug.augmenters

        drops = imgaug.augmenters.Rain()
        tools["imgaug Rain"] = lambda photo: drops(image=photo)
    except (ImportError, AttributeError, KeyError):
        print("imgaug is not installed")
    return tools


def alternating_seconds(tools: dict[str, Tool], photo: np.ndarray) -> dict[str, float]:
    """Median seconds of each tool; the tools take turns, the first turn does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    for turn in range(ROUNDS + 1):
        for name, render in tools.items():
            started = time.perf_counter()
            render(photo)
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return {name: median(times) for name, times in seconds.items()}


def compare(width_px: int, height_px: int) -> None:
    """Our renderer and its peers on one size."""
    photo = np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    first = ours(width_px, height_px)(photo)
    assert isinstance(first, RainSample)
    tools = {
        "rainsynth": ours(width_px, height_px),
        "rainsynth, sensor noise": ours(width_px, height_px, full_well_e=1e4, read_noise_e=3.0),
        "rainsynth, depth map": ours_on_a_map(width_px, height_px),
        "rainsynth, two threads": ours(width_px, height_px, threads=2),
        f"OpenCV, {first.parameters['drop_count']} lines": opencv_lines(first.parameters["drop_count"]),
        **peers(),
    }
    seconds = alternating_seconds(tools, photo)
    print(f"\n{width_px}x{height_px}, {RATE_MM_H:g} mm/h, {first.parameters['drop_count']} streaks, one thread")
    for name, taken_s in seconds.items():
        speed = width_px * height_px / 1e6 / taken_s
        ratio = seconds["rainsynth"] / taken_s
        print(f"  {name:28} {1e3 * taken_s:8.1f} ms {1 / taken_s:8.1f}/s {speed:8.1f} MP/s {ratio:7.3f} x ours")


def crops() -> None:
    """Windows of a photograph, each with its own drops, as a trainer renders them: in one weather, and each in its own.

    Best of the rounds, which is what the code costs on a machine that others use too.
    """
    width_px, height_px = PHOTOGRAPH_PX
    photo = np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    background, camera = Background(photo), Camera.from_fov(width_px, height_px)
    event, rng = RainEvent(rain_rate_mm_h=RATE_MM_H), np.random.default_rng(1)
    print(f"\nwindows of a {width_px}x{height_px} photograph, each second")
    for size in CROPS_PX:
        places = np.stack([rng.integers(0, height_px - size, 200), rng.integers(0, width_px - size, 200)], axis=1)
        windows = [(top, left, size, size) for top, left in places.tolist()]
        best = {"one weather": np.inf, "a preset": np.inf}
        for turn in range(ROUNDS):
            started = time.perf_counter()
            for index, window in enumerate(windows):
                render_rain(background, event, camera, seed=turn, index=index, window=window)
            half = time.perf_counter()
            for index, window in enumerate(windows):
                render_preset(background, "heavy", seed=turn, index=index, window=window)
            best["one weather"] = min(best["one weather"], half - started)
            best["a preset"] = min(best["a preset"], time.perf_counter() - half)
        told = ", ".join(f"{name} {len(windows) / seconds:.0f}/s" for name, seconds in best.items())
        print(f"  {size}x{size}: {told}")


def costs() -> None:
    """Milliseconds against the rate, and against the size of the picture."""
    photo = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    print("\nmm/h at 1920x1080   " + " ".join(f"{rate:8g}" for rate in RATES_MM_H))
    tools = {f"{rate:g}": ours(1920, 1080, rate) for rate in RATES_MM_H}
    print("ms                  " + " ".join(f"{1e3 * s:8.1f}" for s in alternating_seconds(tools, photo).values()))
    print(f"\n{'size':12} {'MP':>6} {'ms':>8} {'MP/s':>8}   at {RATE_MM_H:g} mm/h")
    for width_px, height_px in SIZES_PX:
        photo = np.zeros((height_px, width_px, 3), np.uint8)
        taken_s = alternating_seconds({"ours": ours(width_px, height_px)}, photo)["ours"]
        megapixels = width_px * height_px / 1e6
        print(f"{width_px}x{height_px:<7} {megapixels:6.2f} {1e3 * taken_s:8.1f} {megapixels / taken_s:8.1f}")


def stages() -> None:
    """Nanoseconds a pixel of what every picture costs, and microseconds a streak; 1920x1080."""
    photo = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    camera, event = Camera.from_fov(1920, 1080), RainEvent(rain_rate_mm_h=RATE_MM_H)
    shot = take_shot(Background(photo), event, camera)
    texture = texture_of(event, camera, shot.depth.farthest_m, MIN_STREAK_WIDTH_PX)
    texture16, alpha16 = np.empty((2, 1080, 1920), dtype=np.uint16)
    assert texture is not None

    def streaks(rate_mm_h: float) -> int:
        rain, rng = RainEvent(rain_rate_mm_h=rate_mm_h), np.random.default_rng(0)
        drops = sample_drops(rain, camera, shot.depth.farthest_m, MIN_STREAK_WIDTH_PX, rng)
        draw_alpha16(alpha16, project(drops, camera), shot.depth, (0, 1080))
        return len(drops)

    sample = render_rain(Background(photo), event, camera, seed=0)
    seconds = alternating_seconds(
        {
            "compose": lambda _: recompose(sample),
            "texture": lambda _: draw_texture(texture16, texture, shot.depth, 0, (0, 1080)),
            "few": lambda _: streaks(RATES_MM_H[0]),
            "many": lambda _: streaks(RATES_MM_H[-1]),
        },
        photo,
    )
    more = streaks(RATES_MM_H[-1]) - streaks(RATES_MM_H[0])
    print(f"\ncomposing {1e9 * seconds['compose'] / alpha16.size:.1f} ns a pixel", end="")
    print(f", texture {1e9 * seconds['texture'] / alpha16.size:.1f} ns a pixel", end="")
    print(f", a streak {1e6 * (seconds['many'] - seconds['few']) / more:.2f} us")


def starting() -> None:
    """Seconds from a new process to its first picture: compiling, and from the compiled files."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", FIRST_PICTURE]
        runs = [subprocess.run(command, env=environment, capture_output=True, check=True) for _ in range(4)]
    taken = [float(run.stdout) for run in runs]
    print(f"\nfirst picture of a process: {taken[0]:.1f} s the very first time, {median(taken[1:]):.2f} s later")


def memory() -> None:
    """Peak memory of one 3840x2160 picture in a process of its own."""
    code = FIRST_PICTURE.replace("(512, 512, 3)", "(2160, 3840, 3)").replace(
        "print(", "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss or "
    )
    kib = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    print(f"3840x2160: {kib / 2**20:.2f} GiB at most, Python and all packages included")


def main() -> None:
    """Print every table."""
    cv2.setNumThreads(1)
    for width_px, height_px in ((512, 512), (1920, 1080)):
        compare(width_px, height_px)
    crops()
    costs()
    stages()
    starting()
    memory()
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB at most")


if __name__ == "__main__":
    main()
