"""What training by a config takes and gives: the lines "Expected time" and "Expected result" of configs/train/*.yaml.

    python docs/training_results.py CONFIG[=RUN] [CONFIG[=RUN] ...] [--benchmarks DIR]

CONFIG is a name in configs/train, RUN the folder of a finished run by it. Its weights are measured on the rain classes
on bundled photographs that no run has seen, streaks off (docs/evaluation_table.py has the same pairs), and with
--benchmarks on DIR/rain100h-dev and DIR/rain100l-dev. Which rain a run has seen stands in its config: with a look-alike
of a set among its presets, the figure of that set is of statistics known from pairs.
Without a RUN a few steps on noise say how long one would take; its result is not told.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import textwrap
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from evaluation_table import SETS, bundled_pairs

from mspfn.bare_step import BareSteps
from mspfn.checkpoint import about_weights
from mspfn.run_folder import CONFIG_NAME, START_NAME
from mspfn.train_config import TrainConfig
from mspfn.training_loss import Batch
from pipelines.config import load_config
from pipelines.cost import Cost, cost_of, machine_name
from pipelines.evaluate import compare
from pipelines.evaluation.methods import networks
from pipelines.evaluation.pairs import find_pairs
from pipelines.picture_files import write_whole
from rainsynth.checks import InputError
from rainsynth.presets import RAIN_CLASSES

CONFIGS = Path(__file__).parents[1] / "configs" / "train"
OPENING, CONTINUED = "# Expected ", "#   "
WIDTH = 120
METRICS = ("psnr_y", "ssim_y")
TIMED_STEPS = 5  # their median, so that the first may be slow


def time_line(run: Path) -> str:
    """Steps, minutes and machine of a run, and of those whose weights it went on from, as far as they are known."""
    history = history_of(run)
    last = history[-1]
    steps = " + ".join(str(one["config"]["steps"]) for one in history)
    runs = f", {len(history)} runs, each from the weights of the one before" if len(history) > 1 else ""
    minutes = [sum(one["cost"][part] for one in history) / 60 for part in ("processor_s", "seconds")]
    said = f"{minutes[0]:.0f} minutes of processor time, {minutes[1]:.0f} by the clock"
    return f"time: {steps} steps, seed {last['config']['seed']}{runs}: {said}, on {last['cost']['machine']}."


def history_of(run: Path) -> list[dict[str, Any]]:
    """Config and cost of the runs that led to one, itself the last."""
    config = config_of(run)
    return [*before(config["network"].get("start_weights"), run), {"config": config, "cost": asdict(known_cost(run))}]


def before(weights: str | None, run: Path) -> list[dict[str, Any]]:
    """Config and cost of the runs that made the weights a run went on from: bundled ones, or those of a run beside."""
    if weights is None:
        return []
    folder = (run.parent / weights).parent  # configs keep the last two names of the file's path
    if "/" in weights:
        return history_of(folder) if (folder / CONFIG_NAME).is_file() else []
    noted = run / START_NAME  # the file of that name may have been replaced since; older runs did not note it
    about = json.loads(noted.read_text()) if noted.is_file() else about_weights(weights)["about"]
    return [*about["runs_before"], {name: about[name] for name in ("config", "cost")}]


def config_of(run: Path) -> dict[str, Any]:
    """What a run was asked for."""
    return json.loads((run / CONFIG_NAME).read_text())


def known_cost(run: Path) -> Cost:
    """What a run took. Raises InputError if that is not known."""
    cost = cost_of(run)
    if cost is None:
        raise InputError(f"{run} must hold cost.json, got none. `rainsynth train` leaves it.")
    return cost


def estimated_line(config: TrainConfig) -> str:
    """Processor time that a run would take on one thread, without its data and validation."""
    bare = BareSteps(replace(config, compile=False, device="cpu"))
    stages = config.data.patch_stages
    ends = [stage.from_progress for stage in stages[1:]] + [1.0]
    total_s = 0.0
    for stage, end in zip(stages, ends, strict=True):
        pictures = torch.rand(4, stage.batch_size, 3, stage.patch_px, stage.patch_px)
        batch = Batch(pictures[0], pictures[1], pictures[2], pictures[3, :, :1].round())
        total_s += (end - stage.from_progress) * config.steps * median(bare.step_s(batch) for _ in range(TIMED_STEPS))
    said = f"{config.steps} steps would take {total_s / 3600:.1f} hours of processor time, on {machine_name()}"
    return f"time: {said} ({TIMED_STEPS} were timed)."


def result_line(run: Path, benchmarks: Path | None) -> str:
    """PSNR-Y and SSIM-Y of rainy pictures and of what the run's weights make of them."""
    methods = networks([str(run / "weights.pt")])
    with tempfile.TemporaryDirectory() as place:
        (summary,) = compare(bundled_pairs(Path(place)), methods, metrics=METRICS).summaries.values()
        parts = [f"{name} {gain(summary['per_class'][name])}" for name in RAIN_CLASSES]
    for name in SETS if benchmarks else ():
        pairs = find_pairs(Path(str(benchmarks)) / f"{name}-dev", set_name=name)
        (summary,) = compare(pairs, methods, metrics=METRICS).summaries.values()
        parts.append(f"{summary['pictures']} pairs of {name} {gain(summary)}")
    return f"result: PSNR-Y in dB and SSIM-Y, rainy -> derained: {'; '.join(parts)}."


def gain(figures: dict[str, float]) -> str:
    """Before and after."""
    psnr = f"{figures['psnr_y_rainy']:.2f} -> {figures['psnr_y_derained']:.2f}"
    return f"{psnr}, {figures['ssim_y_rainy']:.3f} -> {figures['ssim_y_derained']:.3f}"


def with_lines(config: str, said: list[str]) -> str:
    """The text of a config with these lines in the place of those that said what to expect, or after its command."""
    lines, kept, at = config.splitlines(), [], 2
    inside = False
    for line in lines:
        inside = line.startswith(OPENING) or (inside and line.startswith(CONTINUED))
        if not inside:
            kept.append(line)
    new = [
        text
        for one in said
        for text in textwrap.wrap(f"{OPENING}{one}", WIDTH, subsequent_indent=CONTINUED, break_on_hyphens=False)
    ]
    return "\n".join([*kept[:at], *new, *kept[at:]]) + "\n"


def main() -> None:
    """Measure each run, then write its config."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="CONFIG[=RUN]")
    parser.add_argument("--benchmarks", type=Path, metavar="DIR")
    options = parser.parse_args()
    for pair in options.runs:
        name, _, run = pair.partition("=")
        path = CONFIGS / f"{name}.yaml"
        if run:
            said = [time_line(Path(run)), result_line(Path(run), options.benchmarks)]
        else:
            said = [estimated_line(load_config(TrainConfig, path, ())), "result: not known; no whole run was made."]
        write_whole(path, with_lines(path.read_text(), said).encode())
        print(*said, sep="\n")


if __name__ == "__main__":
    main()
