"""Training: one plain loop from pairs to weights.

On a processor, the same config gives the same weights, log and checkpoints to the last bit, on the same machine with
the same number of threads - whether the run was left alone or killed at any moment and resumed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch

from mspfn.checkpoint import save_weights
from mspfn.dataset import Prefetcher, TrainingPairs, to_tensor
from mspfn.inference import inference_precision
from mspfn.losses import build_loss
from mspfn.mixture import training_mixture, validation_mixture
from mspfn.run_folder import Log, RunFolder
from mspfn.train_config import OptimizerConfig, TrainConfig
from mspfn.training_state import TrainingState
from mspfn.validation import ValidationSet
from rainsynth.checks import InputError

MAX_SKIPPED_IN_A_ROW = 100


class Progress(NamedTuple):
    """What `report` hears after every step; `record` is what went into the log, empty for most steps.

    `step_s` is the time of the whole step, `data_wait_s` the part of it that was spent waiting for the batch.
    """

    step: int
    steps: int
    loss: float
    stage: str
    step_s: float
    data_wait_s: float
    record: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a run leaves: `weights`, the running mean at its end, and `best_weights` if it was validated."""

    weights: Path
    best_weights: Path | None
    best_psnr_y_db: float | None
    steps: int
    skipped_steps: int


def train(
    config: TrainConfig,
    out_dir: Path | str,
    *,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> TrainResult:
    """Train a network into the folder `out_dir`; see RunFolder for what it holds and when it is refused."""
    device = training_device(config.device)
    precision = training_precision(config.precision, device)
    pairs, validation, loss_function = training_pairs(config), validation_set(config), build_loss(config.loss)
    state = TrainingState(config, device)
    run = RunFolder(out_dir, config.recorded(), resume=resume)
    checkpoint = run.latest_checkpoint()
    if checkpoint is not None:
        state.restore(checkpoint)
    log_bytes = checkpoint.log_bytes if checkpoint is not None else 0

    with Log(run.log_path, log_bytes) as log, Prefetcher(pairs.pictures, config.steps, config.data.workers) as batches:
        while state.step < config.steps:
            started_s = perf_counter()
            rainy, target = (to_tensor(pictures).to(device) for pictures in batches.take(state.step))
            data_wait_s = perf_counter() - started_s
            stage = pairs.stage(state.step)
            learning_rate = learning_rate_at(state.step, config.steps, config.optimizer)
            for group in state.optimizer.param_groups:
                group["lr"] = learning_rate

            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                derained = state.network(rainy)
            loss = loss_function(derained.float(), target)
            state.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(state.parameters, config.optimizer.clip_norm)
            if math.isfinite(loss.item()) and math.isfinite(norm.item()):
                state.optimizer.step()
                state.update_average()
                state.counters.count_loss(loss.item())
            else:
                log.write(skipped_record(state, loss.item()))
            state.step += 1

            record: dict[str, Any] = {}
            if is_due(state.step, config.log_every_steps, config):
                record |= {"loss": state.counters.take_loss(), "learning_rate": learning_rate, "stage": stage}
            if validation is not None and is_due(state.step, config.validate_every_steps, config):
                record |= {"psnr_y_db": validate(validation, state, run)}
            if record:
                log.write({"step": state.step} | record)
            if is_due(state.step, config.checkpoint_every_steps, config):
                run.save(state.checkpoint(stage, log.settle()))
            step_s = perf_counter() - started_s
            report(Progress(state.step, config.steps, loss.item(), stage, step_s, data_wait_s, record))
    save_weights(run.weights, state.average, about=about(state))
    return TrainResult(
        weights=run.weights,
        best_weights=run.best_weights if validation is not None else None,
        best_psnr_y_db=state.counters.best_psnr_y_db,
        steps=state.step,
        skipped_steps=state.counters.skipped_steps,
    )


def training_device(name: str) -> torch.device:
    """The device of a name; "auto" is a CUDA device if there is one."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device must be auto or cpu on this machine, got cuda. PyTorch finds no CUDA device.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def training_precision(name: str, device: torch.device) -> torch.dtype:
    """Number format of the network's inner products; weights, loss and optimiser are float32 always."""
    return inference_precision(device) if name == "auto" else getattr(torch, name)


def training_pairs(config: TrainConfig) -> TrainingPairs:
    """The data of a run."""
    data = config.data
    return TrainingPairs(
        training_mixture(data, config.seed),
        patch_px=data.patch_px,
        batch_size=data.batch_size,
        steps=config.steps,
        seed=config.seed,
        curriculum=config.curriculum,
        target=data.target,
        turns=data.turns,
        clean_fraction=data.clean_fraction,
        degradations=data.degradations,
    )


def validation_set(config: TrainConfig) -> ValidationSet | None:
    """What a run is measured on while it trains, if anything."""
    data, source = config.data, validation_mixture(config.data)
    if source is None:
        return None
    return ValidationSet(
        source,
        samples_per_class=data.validation_samples_per_class,
        crop_px=data.validation_crop_px,
        target=data.target,
    )


def learning_rate_at(step: int, steps: int, config: OptimizerConfig) -> float:
    """Learning rate of a step, counted from 0: linear up to the full rate, then half a cosine down to its end."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    share = (step - config.warmup_steps) / max(1, steps - 1 - config.warmup_steps)
    fall = config.learning_rate - config.learning_rate_end
    return config.learning_rate_end + fall * (1 + math.cos(math.pi * share)) / 2


def is_due(step: int, every_steps: int, config: TrainConfig) -> bool:
    """Whether something that happens every so many steps happens after this one; after the last it always does."""
    return step % every_steps == 0 or step == config.steps


def skipped_record(state: TrainingState, loss: float) -> dict[str, Any]:
    """Count a step that would have made the weights infinite; its line in the log. InputError if it keeps happening."""
    state.counters.skipped_steps += 1
    state.counters.skipped_in_a_row += 1
    if state.counters.skipped_in_a_row == MAX_SKIPPED_IN_A_ROW:
        raise InputError(
            f"loss and gradient must be finite, got {MAX_SKIPPED_IN_A_ROW} steps in a row that were not, up to step "
            f"{state.step + 1}. Lower optimizer.learning_rate."
        )
    return {"step": state.step + 1, "skipped": f"loss {loss:g}" if not math.isfinite(loss) else "gradient not finite"}


def validate(validation: ValidationSet, state: TrainingState, run: RunFolder) -> dict[str, float]:
    """Measure the running mean of the weights and keep it in best.pt if none was better so far."""
    psnr_y_db = validation.psnr_y_db(state.average)
    best = state.counters.best_psnr_y_db
    if best is None or psnr_y_db["all"] > best:
        state.counters.best_psnr_y_db = psnr_y_db["all"]
        save_weights(run.best_weights, state.average, about=about(state) | {"psnr_y_db": psnr_y_db})
    return psnr_y_db


def about(state: TrainingState) -> dict[str, Any]:
    """What weights say of their making."""
    return {"steps": state.step, "config": state.config.recorded()}
