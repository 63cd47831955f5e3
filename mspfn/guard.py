"""When training on must stop: when a network has lost what it could do before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mspfn.data_config import FORBID_UNKNOWN_KEYS
from rainsynth.checks import check_count, check_in_range

DRY = "dry"  # name of the validation pictures without rain
PARTS = 16  # of the way between two sets of weights, at the ends of which the guard is asked
DRY_ENOUGH_DB = 45.0  # choice: from here up a change of 1.4 codes at most, which nobody sees, is no loss


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardConfig:
    """How much a run that goes on from trained weights may lose, measured on its validation data.

    A run never hands out weights that have lost more than that: where its last ones have, it goes back from them
    towards the last that had not, as far as it must (`farthest_fraction`).

    lost_db         of the mean PSNR-Y over all validation pictures [dB]
    dry_lost_db     of the PSNR-Y of the derained targets of these pictures against themselves [dB]; above
                    DRY_ENOUGH_DB nothing counts as lost
    patience        so many validations in a row that have lost more end the run: the first steps in other rain may
                    cost what the next ones regain
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    lost_db: float = 0.2
    dry_lost_db: float = 1.0
    patience: int = 1

    def __post_init__(self) -> None:
        check_in_range(self.lost_db, 0, 100, "guard.lost_db")
        check_in_range(self.dry_lost_db, 0, 100, "guard.dry_lost_db")
        check_count(self.patience, 1, 10**6, "guard.patience")


def breach(guard: GuardConfig, start_db: dict[str, float], now_db: dict[str, float]) -> str:
    """What a network has lost beyond what the guard allows, in words; "" while it holds.

    Both are validations, PSNR-Y [dB] by the names "all" and "dry".
    """
    lost_db = start_db["all"] - now_db["all"]
    if lost_db > guard.lost_db:
        return f"lost {lost_db:.2f} dB on validation"
    lost_db = min(start_db[DRY], DRY_ENOUGH_DB) - now_db[DRY]
    if lost_db > guard.dry_lost_db:
        return f"lost {lost_db:.2f} dB on pictures without rain"
    return ""


def farthest_fraction(holds: Callable[[float], bool]) -> float:
    """How far to go from 0, which holds, towards 1, which does not, in PARTS; further on more is taken to be lost."""
    nearest, farthest = 0, PARTS
    while farthest - nearest > 1:
        middle = (nearest + farthest) // 2
        if holds(middle / PARTS):
            nearest = middle
        else:
            farthest = middle
    return nearest / PARTS


def go_back(
    network: nn.Module, first: dict[str, Tensor], last: dict[str, Tensor], holds: Callable[[nn.Module], bool]
) -> float:
    """Leave `network` with the weights that lie farthest from the first, which hold, towards the last; how far, 0 to 1.

    Where the last have come from the first by learning on, those between are networks that can do some of both.
    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, arXiv:2109.01903.
    """

    def at(fraction: float) -> nn.Module:
        way = {name: torch.lerp(start, last[name].to(start), fraction) for name, start in first.items()}
        network.load_state_dict(way)
        return network

    fraction = farthest_fraction(lambda tried: holds(at(tried)))
    at(fraction)
    return fraction
