"""What training by a config takes and gives: the lines "Expected time" and "Expected result" of configs/train/*.yaml.

    python docs/training_results.py CONFIG=RUN [CONFIG=RUN ...] [--benchmarks DIR]

CONFIG is a name in configs/train, RUN the folder of a finished run by it. Its weights are measured on the rain classes
on bundled photographs that no run has seen, streaks off (docs/evaluation_table.py has the same pairs), and with
--benchmarks on DIR/rain100h-dev and DIR/rain100l-dev. Which rain a run has seen stands in its config: with a look-alike
of a set among its presets, the figure of that set is of statistics known from pairs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import textwrap
from pathlib import Path

from evaluation_table import SETS, bundled_pairs

from mspfn.run_folder import CONFIG_NAME
from pipelines.cost import cost_of
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


def time_line(run: Path) -> str:
    """Steps, minutes and machine of a run."""
    cost, config = cost_of(run), json.loads((run / CONFIG_NAME).read_text())
    if cost is None:
        raise InputError(f"{run} must hold cost.json, got none. `rainsynth train` leaves it.")
    minutes = f"{cost.processor_s / 60:.0f} minutes of processor time, {cost.seconds / 60:.0f} by the clock"
    return f"time: {config['steps']} steps, seed {config['seed']}: {minutes}, on {cost.machine}."


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="CONFIG=RUN")
    parser.add_argument("--benchmarks", type=Path, metavar="DIR")
    options = parser.parse_args()
    for pair in options.runs:
        name, _, run = pair.partition("=")
        path = CONFIGS / f"{name}.yaml"
        said = [time_line(Path(run)), result_line(Path(run), options.benchmarks)]
        write_whole(path, with_lines(path.read_text(), said).encode())
        print(*said, sep="\n")


if __name__ == "__main__":
    main()
