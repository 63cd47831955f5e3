"""`rainsynth generate --video`: rain on a video or on a folder of its frames, as pairs of frames, MP4 and GIF.

Frame k follows from (seed, k), its photograph and the weather, so a run that is stopped goes on where it was and writes
the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pipelines.bundled import TRAINING_PHOTOS, unpack
from pipelines.config import plain_values
from pipelines.footage import Footage, read_frames, survey_footage
from pipelines.generate_config import PhotographsConfig
from pipelines.photographs import depth_summary, sha256_of
from pipelines.progress import console, progress
from pipelines.run_records import RunFolder, write_json
from rainsynth.checks import check_number
from rainsynth.metrics import psnr_y
from rainsynth.pictures import read_photo, write_picture
from rainsynth.preset_choice import PresetChoice
from rainsynth.presets import draw_rain
from rainsynth.sample import RainSample
from rainsynth.scene.background import Background
from rainsynth.scene.camera import Camera
from rainsynth.scene.rain_event import RainEvent
from rainsynth.seeding import MIXTURE_STREAM, sample_rng
from rainsynth.sequence import render_sequence
from rainsynth.shards.schema import code_version

PARAMETERS_NAME = "parameters.json"
JOURNAL_NAME = ".frames.jsonl"  # one line a frame while a run lasts
RECORDED = ("time_s", "drop_count", "coverage_fraction", "mean_transmission")
VIDEO_FOURCC = "mp4v"  # MPEG-4, which OpenCV's wheels write everywhere
GIF_WIDTH_PX = 320
GIF_FRAMES = 60
GIF_RATE_HZ = 25.0
GIF_COLOURS = 255  # and one for what stays as it was
GIF_PALETTE_FRAMES = 6  # frames from which the colours are chosen
GIF_PALETTE_ROUNDS = 3  # in which they are moved to where most pixels are


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRain:
    """The rain of a video. `frame_rate_hz` None: the video's own, 25 for a folder of frames.

    `rain_rate_mm_h` (low, high) replaces the preset's range. The camera moves at `camera_velocity_m_s` (right, down,
    away).
    """

    preset: str
    seed: int = 0
    frame_rate_hz: float | None = None
    rain_rate_mm_h: tuple[float, float] | None = None
    camera_velocity_m_s: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        PresetChoice(preset=self.preset, rain_rate_mm_h=self.rain_rate_mm_h)  # which checks them


def generate_video(data: PhotographsConfig, out: Path, rain: VideoRain, *, resume: bool = False) -> dict[str, Any]:
    """Rain on the frames of `data` into the folder `out`; returns what parameters.json holds.

    `out` gets input/00000.png (rainy) and target/00000.png (as read), rain.mp4 where OpenCV can write one, rain.gif of
    the first 60 frames at most, and parameters.json, the last. `resume` goes on with a run that was stopped; without
    it a folder that is not empty is refused.
    """
    footage = survey_footage(data)
    frame_rate_hz = footage.frame_rate_hz if rain.frame_rate_hz is None else rain.frame_rate_hz
    check_number(frame_rate_hz, 0.1, 1000, "--frame-rate-hz")
    event, camera = weather_of(rain, footage, frame_rate_hz)
    render = partial(
        render_sequence,
        event=event,
        camera=camera,
        frame_rate_hz=frame_rate_hz,
        seed=rain.seed,
        camera_motion=rain.camera_velocity_m_s,
    )
    render(())  # refuses what it would not draw, before a file is written
    head = _head(footage, rain, frame_rate_hz, event, camera)
    folder = RunFolder(out, resume)
    with folder.locked():
        folder.begin(head)
    if summary := depth_summary(list(footage.photographs), data):
        console.print(summary)
    records = _write_frames(footage, out, render)
    _write_films(out, len(records), frame_rate_hz)
    parameters = head | {"frames": records}
    write_json(out / PARAMETERS_NAME, parameters)
    (out / JOURNAL_NAME).unlink(missing_ok=True)
    return parameters


def weather_of(rain: VideoRain, footage: Footage, frame_rate_hz: float) -> tuple[RainEvent, Camera]:
    """Weather and camera of the whole video; no exposure is longer than a frame lasts."""
    options = {}
    if rain.rain_rate_mm_h is not None:
        rng = sample_rng(rain.seed, 0, MIXTURE_STREAM)
        options["rain_rate_mm_h"] = float(np.exp(rng.uniform(*np.log(rain.rain_rate_mm_h))))
    event, camera = draw_rain(rain.preset, footage.width_px, footage.height_px, rain.seed, 0, **options)
    if camera.exposure_s > 1 / frame_rate_hz:
        console.print(f"exposure: {1 / frame_rate_hz:.3g} s, as long as a frame lasts, not {camera.exposure_s:.3g} s")
        camera = replace(camera, exposure_s=1 / frame_rate_hz)
    return event, camera


def _write_frames(footage: Footage, out: Path, render: Callable[..., Iterator[RainSample]]) -> list[dict[str, Any]]:
    """Write the pairs of frames that `out` lacks; the records of all."""
    records, names = _records(out), list[str]()
    frames = read_frames(footage, len(records))

    def backgrounds() -> Iterator[Background]:
        for name, background in frames:
            names.append(name)
            yield background

    with (
        progress("rain", max(footage.count, len(records)), len(records)) as advance,
        closing(frames),
        (out / JOURNAL_NAME).open("a", encoding="utf-8") as journal,
    ):
        for index, sample in enumerate(render(backgrounds(), start=len(records)), len(records)):
            records.append(_write_pair(out, index, names.pop(), sample))
            journal.write(json.dumps(records[-1]) + "\n")
            journal.flush()
            advance()
    if len(records) != footage.count:
        console.print(f"{len(records)} frames could be read; the video says it has {footage.count}")
    return records


def _write_pair(out: Path, index: int, source: str, sample: RainSample) -> dict[str, Any]:
    file = f"{index:05d}.png"
    write_picture(out / "target" / file, sample.clean_srgb8)
    write_picture(out / "input" / file, sample.rainy_srgb8)
    record = {"file": file, "source": source} | {name: sample.parameters[name] for name in RECORDED}
    psnr_db = psnr_y(sample.rainy_srgb8, sample.clean_srgb8)
    return record | {"psnr_y_db": psnr_db if np.isfinite(psnr_db) else None}


def _records(out: Path) -> list[dict[str, Any]]:
    """Records of the frames that are whole, from the first on; the journal is cut to them."""
    if (out / PARAMETERS_NAME).exists():
        return list(json.loads((out / PARAMETERS_NAME).read_text(encoding="utf-8"))["frames"])
    journal = out / JOURNAL_NAME
    records = []
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.exists() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # the run was stopped in the middle of a line
            break
        if not all((out / part / record["file"]).exists() for part in ("input", "target")):
            break
        records.append(record)
    journal.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return records


def _head(footage: Footage, rain: VideoRain, frame_rate_hz: float, event: RainEvent, camera: Camera) -> dict[str, Any]:
    """What a run is, in plain values: equal for equal runs, wherever their folders are."""
    model = footage.data.depth_model
    return {
        "format": "rainsynth-video",
        "format_version": 1,
        "source": Path(footage.data.photographs).name,
        "source_sha256": footage.sha256,
        "photographs": [asdict(photo) for photo in footage.photographs],
        "depth_convention": footage.data.depth_convention,
        "depth_scale_m": footage.data.depth_scale_m,
        "depth_model": plain_values(model) | {"file": sha256_of(Path(model.file))} if model else None,
        "rain": plain_values(rain) | {"frame_rate_hz": frame_rate_hz},
        "weather": plain_values(event),
        "camera": plain_values(camera),
        "code_version": code_version(),
    }


def _write_films(out: Path, count: int, frame_rate_hz: float) -> None:
    """rain.mp4 and rain.gif from the rainy frames."""
    paths = [out / "input" / f"{index:05d}.png" for index in range(count)]
    with progress("film", count) as advance:

        def pictures() -> Iterator[UInt8[np.ndarray, "h w 3"]]:
            for path in paths:
                yield read_photo(path)
                advance()

        if not write_mp4(out / "rain.mp4", pictures(), frame_rate_hz):
            console.print("no rain.mp4: this OpenCV cannot write MPEG-4. rain.gif shows the first frames.")
    step = max(1, round(frame_rate_hz / GIF_RATE_HZ))
    write_gif(out / "rain.gif", map(read_photo, paths[::step][:GIF_FRAMES]), frame_rate_hz / step)


def write_mp4(path: Path, pictures: Iterable[UInt8[np.ndarray, "h w 3"]], frame_rate_hz: float) -> bool:
    """Write pictures as an MPEG-4 film, whole or not at all; False where OpenCV cannot. An odd last row is cut."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    writer = None
    for picture in pictures:
        if writer is None:
            size = picture.shape[1::-1]
            writer = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*VIDEO_FOURCC), frame_rate_hz, size)
            if not writer.isOpened():
                part.unlink(missing_ok=True)
                return False
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
    if writer is not None:
        writer.release()
        part.replace(path)
    return writer is not None


def write_gif(
    path: Path, pictures: Iterable[UInt8[np.ndarray, "h w 3"]], frame_rate_hz: float, width_px: int = GIF_WIDTH_PX
) -> None:
    """Write pictures as an animated GIF, shrunk to `width_px` at most, in 255 colours common to all."""
    images = [Image.fromarray(picture) for picture in pictures]
    wide, high = images[0].size
    if wide > width_px:
        images = [image.resize((width_px, max(1, round(high * width_px / wide)))) for image in images]
    some = images[:: -(-len(images) // GIF_PALETTE_FRAMES)]
    palette = Image.fromarray(np.concatenate([np.asarray(image) for image in some])).quantize(
        GIF_COLOURS, kmeans=GIF_PALETTE_ROUNDS
    )
    first, *others = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images)
    part = path.with_name(f".{path.stem}.part.gif")
    hundredths = max(2, round(100 / frame_rate_hz))  # viewers slow down what is quicker
    first.save(part, save_all=True, append_images=others, duration=10 * hundredths, loop=0)
    part.replace(path)


def bundled_gif(path: Path, *, frames: int = 24, frame_rate_hz: float = 25.0, seed: int = 0) -> None:
    """A short GIF of 50 mm/h before scikit-image's rocket at dusk, about 1 MB.

    It is shown at 25 Hz: filmed at a `frame_rate_hz` of 100, rain falls four times slower.
    """
    with TemporaryDirectory() as folder:
        unpack(tuple(photo for photo in TRAINING_PHOTOS if photo.name == "rocket"), Path(folder))
        photo = Image.fromarray(read_photo(Path(folder) / "rocket.jpg"))
    size = (GIF_WIDTH_PX, round(photo.height * GIF_WIDTH_PX / photo.width))
    background = Background(np.array(photo.resize(size, Image.Resampling.LANCZOS)))
    camera = Camera.from_fov(*size, 25.0, exposure_s=1 / 200)
    event = RainEvent(rain_rate_mm_h=50.0, wind_m_s=(1.0, 0.0), sky_linear=3.0)
    samples = render_sequence(repeat(background, frames), event, camera, frame_rate_hz=frame_rate_hz, seed=seed)
    write_gif(path, (sample.rainy_srgb8 for sample in samples), GIF_RATE_HZ)
