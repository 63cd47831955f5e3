"""In which order training meets easy and hard samples, as frozen dataclasses; a YAML file has the same shape."""

from __future__ import annotations

from dataclasses import dataclass

from mspfn.data_config import FORBID_UNKNOWN_KEYS
from rainsynth.checks import InputError, check_choice, check_count, check_in_range, check_number

RAIN_RATE, INPUT_PSNR, COVERAGE = "rain-rate", "input-psnr", "coverage"
DIFFICULTIES = (RAIN_RATE, INPUT_PSNR, COVERAGE)

CURRICULA = ("uniform", "heavy-only", "light-to-heavy", "heavy-to-light", "competence", "staged", "self-paced")

HIGHEST_RAIN_RATE_MM_H = 500.0
LAST_PROGRESS = 1 - 1e-9  # a stage from 1 on would never come: the last step is before it
LONGEST_STAGE_NAME = 40  # characters, in the log and under the training curve


@dataclass(frozen=True, slots=True, kw_only=True)
class CurriculumStage:
    """A stage of the curriculum `staged`: what is open from `from_progress` on, until the next stage is.

    name                what the log and the training curve call it
    from_progress       share of all steps
    rain_rate_mm_h      (low, high) of the rates that are open, both included; None: all
    difficulty_share    (low, high), as (0, 0.3) for the easiest 30 % of the samples and (0.7, 1) for the hardest, by
                        the curriculum's `difficulty`; a sample on a bound is open on both sides of it. None: all.
                        With both kinds of bounds a sample must be inside both
    replay_fraction     share of draws made over all samples in this stage; None: that of the curriculum
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    name: str
    from_progress: float
    rain_rate_mm_h: tuple[float, float] | None = None
    difficulty_share: tuple[float, float] | None = None
    replay_fraction: float | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and 1 <= len(self.name) <= LONGEST_STAGE_NAME and self.name.isprintable()):
            raise InputError(
                f"name of a stage must be 1 to {LONGEST_STAGE_NAME} characters in a line, got {self.name!r}."
            )
        own = f"stage {self.name}: "
        check_number(self.from_progress, 0, LAST_PROGRESS, f"{own}from_progress", "It is a share of all steps.")
        check_bounds(self.rain_rate_mm_h, HIGHEST_RAIN_RATE_MM_H, f"{own}rain_rate_mm_h")
        check_bounds(self.difficulty_share, 1, f"{own}difficulty_share")
        if self.replay_fraction is not None:
            check_number(self.replay_fraction, 0, 1, f"{own}replay_fraction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """When a stage of `staged` ends before its time: once validation has stopped gaining in it.

    The next stage opens after `validations` validations in a row each of which was less than `gain_db` above the best
    before it in the stage, the first of the stage being the one to beat; PSNR-Y of all validation pictures [dB].
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    validations: int
    gain_db: float

    def __post_init__(self) -> None:
        check_count(self.validations, 1, 10_000, "curriculum.gate.validations")
        check_number(self.gain_db, 0, 100, "curriculum.gate.gain_db")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurriculumConfig:
    """The order in which training meets easy and hard samples.

    name                        "uniform": all samples, always.
                                "heavy-only": rates from heavy_rain_rate_mm_h up, always, without replay.
                                "light-to-heavy": rates up to a limit that grows geometrically from
                                start_rain_rate_mm_h to the heaviest sample.
                                "heavy-to-light": rates from a limit up that falls geometrically from
                                heavy_rain_rate_mm_h to the lightest sample.
                                "competence": the easiest share c of all samples of known difficulty,
                                c(t) = min(1, sqrt(t (1 - c0^2) / T + c0^2)) (Platanios et al. 2019, NAACL,
                                doi:10.18653/v1/N19-1119), c0 = start_competence_fraction, T = reached_at.
                                "staged": `stages`, one after the other.
                                "self-paced": of `bins` equal bins of samples by difficulty those that have the least
                                error at the moment, as many as cover the share c(t) of competence (after Kumar et al.
                                2010, NIPS 23, who choose single samples); see mspfn.pacing.
    difficulty                  what makes a sample hard: "rain-rate" [mm/h]; "input-psnr", a low PSNR-Y of the rainy
                                picture; "coverage", the part of the picture that streaks cover; or weights of these,
                                as {rain-rate: 1, input-psnr: 2}: the weighted sum of the shares of samples that are
                                easier by each, known where all of them are. By anything but "rain-rate" alone the
                                curricula of rates go by shares of samples: "light-to-heavy" opens the easiest share,
                                growing linearly from start_competence_fraction to 1, "heavy-to-light" the hardest
                                share likewise, and "heavy-only" the hardest start_competence_fraction, always.
    reached_at                  progress in (0, 1] from which on everything is open; not of staged, which has its own
    replay_fraction             share of draws made over all samples as without a curriculum, against forgetting
    start_rain_rate_mm_h        first limit of light-to-heavy; 2.5 mm/h is where light rain ends
    heavy_rain_rate_mm_h        lowest rate of heavy-only, first limit of heavy-to-light; heavy rain begins at 10 mm/h
    start_competence_fraction   share of samples that competence and self-paced begin with
    stages, gate                of staged; the gate may be left out
    bins                        of self-paced
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    name: str = "uniform"
    difficulty: str | dict[str, float] = RAIN_RATE
    reached_at: float = 0.5
    replay_fraction: float = 0.25
    start_rain_rate_mm_h: float = 2.5
    heavy_rain_rate_mm_h: float = 10.0
    start_competence_fraction: float = 0.1
    stages: tuple[CurriculumStage, ...] = ()
    gate: Gate | None = None
    bins: int = 8

    def __post_init__(self) -> None:
        check_choice(self.name, CURRICULA, "curriculum.name")
        check_difficulty(self.difficulty)
        check_in_range(self.reached_at, 1e-6, 1, "curriculum.reached_at", "It is a share of all steps.")
        check_in_range(self.replay_fraction, 0, 1, "curriculum.replay_fraction")
        check_in_range(self.start_rain_rate_mm_h, 1e-3, HIGHEST_RAIN_RATE_MM_H, "curriculum.start_rain_rate_mm_h")
        check_in_range(self.heavy_rain_rate_mm_h, 1e-3, HIGHEST_RAIN_RATE_MM_H, "curriculum.heavy_rain_rate_mm_h")
        check_in_range(self.start_competence_fraction, 1e-6, 1, "curriculum.start_competence_fraction")
        check_count(self.bins, 2, 1000, "curriculum.bins")
        check_stages(self)

    @property
    def by_rate(self) -> bool:
        """Whether difficulty is the rain rate, so that windows are bounded in mm/h."""
        return self.difficulty == RAIN_RATE

    @property
    def difficulty_weights(self) -> dict[str, float]:
        """What makes a sample hard, and how much each counts; without what counts nothing."""
        if isinstance(self.difficulty, str):
            return {self.difficulty: 1.0}
        return {name: weight for name, weight in self.difficulty.items() if weight > 0}


def check_bounds(bounds: tuple[float, float] | None, highest: float, name: str) -> None:
    """Raise InputError unless there are no bounds, or two from 0 to `highest`, low then high."""
    if bounds is None:
        return
    check_in_range(bounds, 0, highest, name)
    if len(bounds) != 2 or bounds[0] >= bounds[1]:
        raise InputError(f"{name} must be two numbers, low then high, got {list(bounds)}.")


def check_difficulty(difficulty: str | dict[str, float]) -> None:
    """Raise InputError for what no sample can be ordered by."""
    if isinstance(difficulty, str):
        return check_choice(difficulty, DIFFICULTIES, "curriculum.difficulty")
    for name, weight in difficulty.items():
        check_choice(name, DIFFICULTIES, "curriculum.difficulty")
        check_number(weight, 0, 1e6, f"curriculum.difficulty.{name}")
    if not any(difficulty.values()):
        raise InputError(f"curriculum.difficulty must have a weight above 0, got {difficulty}.")


def check_stages(config: CurriculumConfig) -> None:
    """Raise InputError unless `staged`, and nothing else, has stages: in growing order, each with a name of its own."""
    if config.name != "staged":
        for given in ("stages", "gate"):
            if getattr(config, given):
                raise InputError(f"curriculum.{given} must go with curriculum.name: staged, got {config.name}.")
        return
    if not config.stages:
        raise InputError("curriculum.stages must name at least one stage for curriculum.name: staged, got none.")
    starts, names = [stage.from_progress for stage in config.stages], [stage.name for stage in config.stages]
    if starts[0] != 0 or starts != sorted(set(starts)):
        raise InputError(f"curriculum.stages must have growing from_progress, the first 0, got {starts}.")
    if len(set(names)) < len(names):
        raise InputError(f"curriculum.stages must have names of their own, got {', '.join(names)}.")
