"""`rainsynth demo`: the whole path on bundled photographs, from clean pictures to a report, in minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mspfn.checkpoint import load_weights
from mspfn.curriculum import CurriculumConfig
from mspfn.inference import derain
from mspfn.train_config import DataConfig, NetworkChoice, OptimizerConfig, TrainConfig
from pipelines.bundled import HELD_OUT_PHOTOS, TRAINING_PHOTOS, unpack
from pipelines.demo_page import write_page
from pipelines.evaluate import Pair, evaluate, figure_table, read_pairs, write_figures
from pipelines.generate import generate
from pipelines.generate_config import GenerateConfig, PhotographsConfig
from pipelines.progress import console
from pipelines.train import run_training
from rainsynth.checks import InputError
from rainsynth.preset_choice import PresetChoice
from rainsynth.presets import RAIN_CLASSES

TRAINING_MIXTURE = tuple(
    PresetChoice(preset=name, weight=weight)
    for name, weight in (("light", 1.0), ("moderate", 1.0), ("heavy", 2.0), ("violent", 1.0))
)
HELD_OUT_MIXTURE = tuple(PresetChoice(preset=name) for name in RAIN_CLASSES)
HELD_OUT_SEED = 1000  # other drops than in training, even on the same photograph
FINE_FUSION_UNITS = 2  # a step takes 0.7 times that of mspfn-demo's own 4, and in equal time this learns as much
TARGET = "veiled"  # streaks are taken off and the veil is kept: what a small network can learn in minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSize:
    """How much the demo does."""

    training_samples: int
    held_out_samples: int
    steps: int


FULL = DemoSize(training_samples=240, held_out_samples=24, steps=1600)
SMOKE = DemoSize(training_samples=16, held_out_samples=8, steps=12)


def demo(out: Path, size: DemoSize, *, workers: int, seed: int = 0) -> dict[str, Any]:
    """Render, train, evaluate and report into the folder `out`; returns what report.json holds.

    Two photographs are kept out of training and are what every figure is measured on.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError(f"--out must be a new or empty folder, got {str(out)!r}. Remove it to run the demo again.")
    seconds: dict[str, float] = {}
    timed = _timer(seconds)
    training = timed("render", lambda: _render(out, "training", TRAINING_PHOTOS, size.training_samples, seed, workers))
    held_out = timed(
        "render",
        lambda: _render(out, "held_out", HELD_OUT_PHOTOS, size.held_out_samples, HELD_OUT_SEED + seed, workers),
    )
    config = training_config(training, size.steps, seed)
    timed("train", lambda: run_training(config, out / "run", resume=False))
    network = load_weights(out / "run" / "weights.pt")
    kept: list[tuple[Pair, np.ndarray]] = []
    pairs, count = read_pairs(held_out, TARGET)
    figures = timed(
        "evaluate",
        lambda: evaluate(
            lambda rainy: derain(rainy, network), pairs, count, lambda pair, derained: kept.append((pair, derained))
        ),
    )
    timed("report", lambda: write_page(out, figures, kept, held_out, figure_table(figures)))
    report = {name: value for name, value in figures.items() if name != "per_picture"}
    report |= {"target": TARGET, "seed": seed, "steps": size.steps, "seconds": seconds}
    report["network"] = asdict(config.network)
    write_figures(out / "report.json", report)
    return report


def training_config(shards: Path, steps: int, seed: int) -> TrainConfig:
    """The demo's training: a small MSPFN, light rain first, PSNR as its loss so that light rain counts as much."""
    return TrainConfig(
        data=DataConfig(shards=str(shards), target=TARGET, patch_px=64, batch_size=8),
        steps=steps,
        network=NetworkChoice(name="mspfn-demo", overrides={"fine_fusion_units": FINE_FUSION_UNITS}),
        curriculum=CurriculumConfig(name="light-to-heavy", reached_at=0.3, replay_fraction=0.3),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_steps=min(50, steps // 4)),
        loss="psnr",
        ema_decay=0.99,
        seed=seed,
        log_every_steps=max(1, steps // 50),
        checkpoint_every_steps=steps,
        validate_every_steps=steps,
    )


def _render(out: Path, part: str, photos: Any, samples: int, seed: int, workers: int) -> Path:
    folder = out / "photographs" / part
    unpack(photos, folder)
    mixture = TRAINING_MIXTURE if part == "training" else HELD_OUT_MIXTURE
    config = GenerateConfig(
        data=PhotographsConfig(photographs=str(folder), depth=str(folder)),
        samples=samples,
        mixture=mixture,
        seed=seed,
        samples_per_shard=max(1, samples // 12),
    )
    console.print(f"rain on the {part.replace('_', '-')} photographs")
    generate(config, out / "shards" / part, workers=workers)
    return out / "shards" / part


def _timer(seconds: dict[str, float]) -> Callable[[str, Callable[[], Any]], Any]:
    def timed(name: str, work: Callable[[], Any]) -> Any:
        started = time.monotonic()
        result = work()
        seconds[name] = round(seconds.get(name, 0.0) + time.monotonic() - started, 1)
        return result

    return timed
