"""Everything that decides what a training run makes, as one frozen dataclass; a YAML file has the same shape."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch

from mspfn.curriculum_config import CurriculumConfig
from mspfn.data_config import FOLDERS, FORBID_UNKNOWN_KEYS, DataConfig
from mspfn.guard import GuardConfig
from mspfn.mean_teacher import UnpairedConfig
from mspfn.networks import build_network, predict
from mspfn.optimizer import MAX_STEPS, OptimizerConfig
from mspfn.training_loss import Batch, LossConfig, NameOrConfig, as_loss_config, loss_parts
from rainsynth.checks import InputError, check_choice, check_count, check_in_range
from rainsynth.preset_choice import PresetChoice

PRECISIONS = ("auto", "float32", "bfloat16")
DEVICES = ("auto", "cpu", "cuda")
PROBE_PX = 64  # side of the picture without memory on which a network is asked what it predicts

VALIDATION_FOLDERS = ("validation_shards", "validation_pairs")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChoice:
    """Which network is trained.

    name            one of mspfn.networks.NETWORKS, as "mspfn-tiny"
    overrides       fields of that network's config that differ, as {"channels": 16}
    start_weights   file or bundled name of weights to go on from, of the same network or of an MSPFN with fewer
                    fine-fusion units or half, a third ... of the channels, which is made larger
                    (mspfn.networks.growth); None: random ones
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    name: str = "mspfn-tiny"
    overrides: dict[str, Any] = field(default_factory=dict)
    start_weights: str | None = None

    def __post_init__(self) -> None:
        with torch.device("meta"):  # shapes without memory: a config that loads can be built
            build_network(self.name, **self.overrides)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A training run: the same config and seed on the same machine make the same weights, to the last bit.

    steps                   optimiser steps of the whole run; learning rate and curriculum are stretched over them
    seed                    of the first weights and of every batch; 0 is a seed
    loss                    its name alone, one of mspfn.losses.PICTURE_LOSSES, or a LossConfig
    accumulate              in how many parts the batch of a step goes through the network, one after the other, for
                            batches that memory does not hold at once; the step is the same but for rounding
    ema_decay               of the running mean of the weights, which is what a run hands out; 0: the weights themselves
    precision               "auto": bfloat16 where the hardware multiplies in it (mspfn.inference)
    device                  "auto": a CUDA device if there is one
    compile                 let torch.compile rewrite the network, with a C++ compiler. Measured for mspfn-tiny in
                            bfloat16 on one core: a step takes 0.83 of the time, after 46 s at the start of a run
    unpaired                rainy photographs without clean versions, learned from beside the pairs; None: none
    own_rain                rain that the network knew before any adaptation, a part of data.presets: what the next
                            adaptation keeps. A record, which training does not read; None: data.presets
    guard                   end the run where it loses what the first weights could do; None: never
    stop_after_validations  end the run after so many validations in a row without a better PSNR; None: never
    keep_checkpoints        how many of the last checkpoints stay
    tensorboard             write what the log holds, and the speed, for TensorBoard too
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    data: DataConfig
    steps: int
    network: NetworkChoice = field(default_factory=NetworkChoice)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: Annotated[LossConfig | str, NameOrConfig()] = "charbonnier-edge"
    unpaired: UnpairedConfig | None = None
    own_rain: tuple[PresetChoice, ...] | None = None
    guard: GuardConfig | None = None
    accumulate: int = 1
    ema_decay: float = 0.999
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    compile: bool = False
    log_every_steps: int = 50
    validate_every_steps: int = 500
    stop_after_validations: int | None = None
    checkpoint_every_steps: int = 500
    keep_checkpoints: int = 2
    tensorboard: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss", as_loss_config(self.loss))
        check_count(self.steps, 1, MAX_STEPS, "steps")
        check_loss(as_loss_config(self.loss), self.network, self.data)
        smallest_batch = min(stage.batch_size for stage in self.data.patch_stages)
        check_count(self.accumulate, 1, smallest_batch, "accumulate", "It divides a batch into parts.")
        check_in_range(self.ema_decay, 0, 1 - 1e-9, "ema_decay")
        check_count(self.seed, 0, 2**63 - 1, "seed")
        check_choice(self.precision, PRECISIONS, "precision")
        check_choice(self.device, DEVICES, "device")
        check_count(self.log_every_steps, 1, MAX_STEPS, "log_every_steps")
        check_count(self.validate_every_steps, 1, MAX_STEPS, "validate_every_steps")
        check_count(self.checkpoint_every_steps, 1, MAX_STEPS, "checkpoint_every_steps")
        check_count(self.keep_checkpoints, 1, 1000, "keep_checkpoints")
        if self.stop_after_validations is not None:
            check_count(self.stop_after_validations, 1, MAX_STEPS, "stop_after_validations")
            check_validated(self.data, "stop_after_validations")
        if self.curriculum.gate is not None:
            check_validated(self.data, "curriculum.gate")
        if self.guard is not None:
            check_validated(self.data, "guard")
        if self.unpaired is not None and not self.ema_decay:
            raise InputError("ema_decay must be more than 0 with unpaired, got 0. The running mean is the teacher.")

    def resolved(self) -> dict[str, Any]:
        """Every value as JSON has it: nested dicts, lists for tuples."""
        resolved: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return resolved

    def recorded(self) -> dict[str, Any]:
        """The resolved config as files keep it: without what does not make the weights.

        Of folders there is the last name alone, so that it says what, not where: the same data in another place makes
        the same files, and a run goes on after its data has moved; of network.start_weights, the last two names. Left
        out are data.workers and tensorboard.
        """
        recorded = self.resolved()
        if self.network.start_weights is not None:
            recorded["network"]["start_weights"] = "/".join(Path(self.network.start_weights).parts[-2:])
        del recorded["data"]["workers"], recorded["tensorboard"]
        unpaired = [recorded["unpaired"]] if recorded["unpaired"] else []
        for group in (recorded["data"], *recorded["data"]["sources"], *unpaired):
            for name in (*FOLDERS, *VALIDATION_FOLDERS):
                if group.get(name) is not None:
                    group[name] = Path(group[name]).name
            shorten_layers(group.get("presets"))
        shorten_layers(recorded["own_rain"])
        return recorded


def shorten_layers(presets: list[dict[str, Any]] | None) -> None:
    """Leave the last name of folders of layers in the parts of a mixture."""
    for part in presets or ():
        if part["lines"] and part["lines"]["layers"]:
            part["lines"]["layers"] = Path(part["lines"]["layers"]).name


def check_validated(data: DataConfig, name: str) -> None:
    """Raise InputError, that names what asks for it, unless there is something to measure a network on."""
    if all(getattr(data, folder) is None for folder in VALIDATION_FOLDERS):
        raise InputError(f"{name} must go with data.validation_shards or data.validation_pairs, got neither.")


def check_loss(loss: LossConfig, network: NetworkChoice, data: DataConfig) -> None:
    """Raise InputError unless windows are large enough for a loss, and the network predicts what it asks for."""
    smallest_px = min(stage.patch_px for stage in data.patch_stages)
    if smallest_px < loss.smallest_patch_px:
        raise InputError(
            f"data.patch_px must be at least {loss.smallest_patch_px} for loss {loss.name} as it is set, "
            f"got {smallest_px}."
        )
    if loss.needs_layers and any(source.pairs is not None for source in data.mixture):
        raise InputError(
            "loss.mask_weight and loss.streak_weight must be 0 with data.pairs, got more. "
            "A folder of pairs has no layers."
        )
    if not (loss.stages_weight or loss.needs_layers):
        return
    with torch.device("meta"):  # shapes without memory
        pictures, mask = torch.empty(1, 3, PROBE_PX, PROBE_PX), torch.empty(1, 1, PROBE_PX, PROBE_PX)
        predictions = predict(build_network(network.name, **network.overrides), pictures)
        loss_parts(loss, predictions, Batch(pictures, pictures, pictures, mask))
