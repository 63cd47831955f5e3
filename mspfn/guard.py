"""When training on must stop: when a network has lost what it could do before."""

from __future__ import annotations

from dataclasses import dataclass

from mspfn.data_config import FORBID_UNKNOWN_KEYS
from rainsynth.checks import check_count, check_in_range

DRY = "dry"  # name of the validation pictures without rain
DRY_ENOUGH_DB = 45.0  # choice: from here up a change of 1.4 codes at most, which nobody sees, is no loss


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardConfig:
    """How much a run that goes on from trained weights may lose, measured on its validation data.

    A run hands out the last weights that had not lost more: it never ends below where it began by more.

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
