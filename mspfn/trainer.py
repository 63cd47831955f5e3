"""Training: one plain loop from pairs to weights.

On a processor, the same config gives the same weights, log and checkpoints to the last bit, on the same machine with
the same number of threads and processes - whether the run was left alone or killed at any moment and resumed.
"""

from __future__ import annotations

import copy
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from mspfn.checkpoint import load_weights
from mspfn.curriculum_config import CurriculumConfig
from mspfn.dataset import Prefetcher, RenderedPairs, TrainingPairs
from mspfn.difficulty import graded_samples
from mspfn.feedback import Feedback
from mspfn.guard import breach, go_back
from mspfn.mixture import training_mixture, validation_mixture
from mspfn.objective import Objective
from mspfn.optimizer import clip_gradients, learning_rate_at
from mspfn.process_group import ProcessGroup, process_group
from mspfn.reports import Progress, TensorBoardLog, check_tensorboard
from mspfn.run_folder import Log, RunFolder
from mspfn.train_config import TrainConfig
from mspfn.training_loss import as_loss_config
from mspfn.training_state import TrainingState
from mspfn.validation import ValidationSet
from rainsynth.checks import InputError

MAX_SKIPPED_IN_A_ROW = 100
UNPAIRED_SEED = 2**63  # beyond every seed of a config: photographs without pairs have draws of their own

Report = Callable[[Progress], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a run leaves: `weights`, the running mean at its end, and `best_weights` if it was validated.

    With a guard `breach` is what the last running mean had lost, if the guard did not let it pass; `weights` then lies
    between the last that it let pass and that one, `kept_fraction` of the way.
    """

    weights: Path
    best_weights: Path | None
    best_psnr_y_db: float | None
    steps: int
    skipped_steps: int
    breach: str = ""
    kept_fraction: float = 1.0


def train(
    config: TrainConfig,
    out_dir: Path | str,
    *,
    resume: bool = False,
    report: Report = lambda progress: None,
) -> TrainResult:
    """Train a network into the folder `out_dir`; see RunFolder for what it holds and when it is refused.

    Under `torchrun` the processes share the rows of every batch; the first writes, and calls `report`. The folder is
    one that all of them see.
    """
    check_machine(config)
    with process_group(config.device) as group:
        pairs, validation = training_pairs(config, group), validation_set(config)
        state, feedback = TrainingState(config, group.device), Feedback(pairs)
        objective = Objective(config, state, feedback, group.device)
        run = RunFolder(out_dir, config.recorded(), resume=resume, writes=group.is_first)
        run.note_start(config.network.start_weights)
        log_bytes = go_on(state, pairs, run, group)
        measure_start(validation, state, run, group)

        with (
            run.log(log_bytes) as log,
            prefetcher(pairs, config) as batches,
            unpaired_prefetcher(config, group) as unpaired,
            listeners(report, config, run, state.step, group) as tell,
        ):
            while not state.finished:
                started_s = perf_counter()
                pictures = batches.take(state.step)
                data_wait_s = perf_counter() - started_s
                stage, samples = pairs.stage(state.step), pairs.size(state.step).batch_size
                learning_rate = learning_rate_at(state.step, config.steps, config.optimizer)

                state.optimizer.zero_grad(set_to_none=True)
                losses = objective.gradients(pictures, samples, unpaired.take(state.step) if unpaired else None)
                group.add_up([*state.gradients, *losses.values(), *feedback.sums(state.step)])
                norm = clip_gradients(state.parameters, config.optimizer.clip_norm)
                loss_values = {name: value.item() for name, value in losses.items()}
                loss_sum = sum(loss_values.values())
                if math.isfinite(loss_sum) and math.isfinite(norm):
                    state.set_learning_rate(learning_rate)
                    state.optimizer.step()
                    state.update_average()
                    state.counters.count_step(loss_values, norm)
                    feedback.learn(state.step)
                else:
                    log.write(skipped_record(state, loss_sum))
                state.step += 1

                record: dict[str, Any] = {}
                if validation is not None and is_due(state, config.validate_every_steps):
                    record = validate(validation, state, pairs, run, group)
                if is_due(state, config.log_every_steps):
                    record = {**state.counters.take_means(), "learning_rate": learning_rate, "stage": stage, **record}
                if record:
                    log.write({"step": state.step} | record)
                if is_due(state, config.checkpoint_every_steps):
                    run.save(state.checkpoint(stage, pairs.pacing.recorded(), log.settle()))
                step_s = perf_counter() - started_s
                tell(Progress(state.step, config.steps, loss_sum, stage, samples, step_s, data_wait_s, record))
            kept_fraction = hand_out(validation, state, run, group, log)
        group.wait()  # until the weights are there
    return TrainResult(
        weights=run.weights,
        best_weights=run.best_weights if validation is not None else None,
        best_psnr_y_db=state.counters.best_psnr_y_db,
        steps=state.step,
        skipped_steps=state.counters.skipped_steps,
        breach=state.counters.breach,
        kept_fraction=kept_fraction,
    )


def check_machine(config: TrainConfig) -> None:
    """Raise InputError where this machine lacks what a config asks for."""
    compiler = os.environ.get("CXX", "g++")
    if config.compile and shutil.which(compiler) is None:
        raise InputError(
            f"compile must be false without a C++ compiler, got true. There is no {compiler}; CXX names it."
        )
    if config.tensorboard:
        check_tensorboard()


def training_pairs(config: TrainConfig, group: ProcessGroup) -> TrainingPairs:
    """The data of a run, as far as it is this process's to make."""
    data = config.data
    check_processes(min(stage.batch_size for stage in data.patch_stages), "data.batch_size", group)
    mixture = training_mixture(data, config.seed)
    return TrainingPairs(
        mixture,
        patch_px=data.patch_px,
        batch_size=data.batch_size,
        steps=config.steps,
        seed=config.seed,
        curriculum=config.curriculum,
        target=data.target,
        turns=data.turns,
        clean_fraction=data.clean_fraction,
        degradations=data.degradations,
        patch_schedule=data.patch_schedule,
        layers=as_loss_config(config.loss).needs_layers,
        rows=group.rows,
        samples=group.ask_first(lambda: graded_samples(config.curriculum, mixture)),
    )


def prefetcher(pairs: TrainingPairs, config: TrainConfig) -> Prefetcher:
    """Makes the batches of a run ahead; their windows are drawn in this process, which hears of the run."""
    ahead_steps = pairs.pacing.most_ahead_steps
    return Prefetcher(
        pairs.pictures, config.steps, config.data.workers, draw=pairs.windows, most_ahead_steps=ahead_steps
    )


@contextmanager
def unpaired_prefetcher(config: TrainConfig, group: ProcessGroup) -> Iterator[Prefetcher | None]:
    """Makes the windows of photographs without pairs ahead, if a config has any: under more rain, and as they are."""
    if config.unpaired is None:
        yield None
        return
    unpaired = config.unpaired
    check_processes(unpaired.batch_size, "unpaired.batch_size", group)
    seed = config.seed + UNPAIRED_SEED
    pairs = TrainingPairs(
        RenderedPairs(unpaired.photographs, unpaired.presets, seed=seed),
        patch_px=unpaired.patch_px,
        batch_size=unpaired.batch_size,
        steps=config.steps,
        seed=seed,
        curriculum=CurriculumConfig(),
        rows=group.rows,
    )
    with Prefetcher(pairs.pictures, config.steps, config.data.workers) as batches:
        yield batches


def check_processes(smallest_batch: int, name: str, group: ProcessGroup) -> None:
    """Raise InputError unless every process has a row of every batch."""
    if smallest_batch < group.count:
        raise InputError(f"{name} must be at least {group.count}, the number of processes, got {smallest_batch}.")


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
        dry=config.guard is not None,
    )


def go_on(state: TrainingState, pairs: TrainingPairs, run: RunFolder, group: ProcessGroup) -> int:
    """Take up the newest checkpoint of a run, if it has one; the length of the log in bytes at that step."""
    group.wait()  # until the first process has made the folder
    checkpoint = run.latest_checkpoint()
    log_bytes = state.restore(checkpoint)
    if checkpoint is not None:
        pairs.pacing.restore(checkpoint.pacing)
    group.check_same(state.step, "step of the last checkpoint", "Do all processes see the same folder?")
    return log_bytes


@contextmanager
def listeners(
    report: Report, config: TrainConfig, run: RunFolder, done_steps: int, group: ProcessGroup
) -> Iterator[Report]:
    """Who hears of every step, as one report: `report`, and TensorBoard if it is asked for; in the first process."""
    if not group.is_first:
        yield lambda progress: None
    elif not config.tensorboard:
        yield report
    else:
        with closing(TensorBoardLog(run.path, done_steps)) as tensorboard:
            yield lambda progress: (report(progress), tensorboard(progress))  # type: ignore[func-returns-value]


def is_due(state: TrainingState, every_steps: int) -> bool:
    """Whether something that happens every so many steps happens after this one; after the last it always does."""
    return state.step % every_steps == 0 or state.finished


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


def measure_start(validation: ValidationSet | None, state: TrainingState, run: RunFolder, group: ProcessGroup) -> None:
    """For a guard: what the network can do before its first step. These weights are the first that pass."""
    if validation is None or state.config.guard is None or state.counters.start_psnr_y_db is not None:
        return
    state.counters.start_psnr_y_db = group.ask_first(lambda: validation.psnr_y_db(state.average))
    run.save_weights(run.accepted, state.average, about(state))


def validate(
    validation: ValidationSet, state: TrainingState, pairs: TrainingPairs, run: RunFolder, group: ProcessGroup
) -> dict[str, Any]:
    """Measure the running mean of the weights, tell curriculum and guard, and keep it if none was better so far.

    The first process measures, the others wait for it. Returns what goes into the log.
    """
    psnr_y_db = group.ask_first(lambda: validation.psnr_y_db(state.average))
    pairs.pacing.hear_validation(state.step - 1, psnr_y_db["all"])
    if state.counters.count_validation(psnr_y_db["all"]):
        run.save_weights(run.best_weights, state.average, about(state) | {"psnr_y_db": psnr_y_db})
    if state.config.guard is None or state.counters.start_psnr_y_db is None:
        return {"psnr_y_db": psnr_y_db}
    state.counters.count_breach(breach(state.config.guard, state.counters.start_psnr_y_db, psnr_y_db))
    if state.counters.breach:
        return {"psnr_y_db": psnr_y_db, "guard": state.counters.breach}
    run.save_weights(run.accepted, state.average, about(state) | {"psnr_y_db": psnr_y_db})
    return {"psnr_y_db": psnr_y_db}


def hand_out(
    validation: ValidationSet | None, state: TrainingState, run: RunFolder, group: ProcessGroup, log: Log
) -> float:
    """Write the weights of a run, which are the running mean at its end, if there is no guard or it let that pass.

    Else they lie between the last that it let pass and that mean, as far towards it as the guard lets them; returns
    how far, from 0 to 1. The first process measures, the others wait for it.
    """
    guard, start_db = state.config.guard, state.counters.start_psnr_y_db
    if validation is None or guard is None or start_db is None or not state.counters.breach:
        run.save_weights(run.weights, state.average, about(state))
        return 1.0
    network = copy.deepcopy(state.average)
    kept_fraction = group.ask_first(
        lambda: go_back(
            network,
            load_weights(run.accepted).state_dict(),
            state.average.state_dict(),
            lambda tried: not breach(guard, start_db, validation.psnr_y_db(tried)),
        )
    )
    run.save_weights(run.weights, network, about(state) | {"kept_fraction": kept_fraction})
    log.write({"step": state.step, "kept_fraction": kept_fraction})
    return kept_fraction


def about(state: TrainingState) -> dict[str, Any]:
    """What weights say of their making."""
    return {"steps": state.step, "config": state.config.recorded()}
