"""`rainsynth adapt`: a trained network goes on learning for another place, under a guard over what it can do already.

What a place shows is known from rainy photographs without clean versions, from a config of rain that was fitted to
them, or both. The photographs teach by a running mean of the network (`mspfn.mean_teacher`), or as pairs with what the
network makes of them over eight views, which is better than what it makes of them as they are (data distillation:
Radosavovic et al., CVPR 2018, arXiv:1712.04440). Clean photographs, on which the network's own rain falls as before,
keep it from forgetting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mspfn.checkpoint import about_weights
from mspfn.data_config import DataConfig
from mspfn.pair_folder import INPUT_FOLDER, TARGET_FOLDER
from mspfn.process_group import process_group
from mspfn.train_config import TrainConfig
from mspfn.trainer import TrainResult
from pipelines.config import key_of, load_config, read_yaml, set_values
from pipelines.derain import load_derainer
from pipelines.generate_config import GenerateConfig
from pipelines.new_folder import new_folder
from pipelines.progress import progress
from pipelines.study_config import EvaluationConfig
from pipelines.study_evaluation import FOLDER_NAME as SHARDS_FOLDER
from pipelines.study_evaluation import check_apart, evaluation_shards
from pipelines.train import run_training
from rainsynth.checks import InputError, check_in_range
from rainsynth.pictures import list_photos, read_photo, write_picture
from rainsynth.preset_choice import PresetChoice

LEAST_FRACTION = 1e-3  # choice: less of a mixture is nothing
HALF = 0.5  # choice: a network that sees its own rain as often as another's forgets little
VALIDATION_NAME = "validation"  # folder beside a run, with the pictures that its guard looks at
RESULTS_NAME = "results"  # folder beside a run: rainy photographs, and what its first weights make of them
RESULTS_OPTION = "--results-fraction"
LOSSLESS_SUFFIX = ".png"
TAKEN_IN = ("network.overrides", "data.presets", "data.target")  # settings that `given` has made part of what it says

Rain = Sequence[PresetChoice]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """What a network is adapted to, and from.

    weights             file or bundled name of the trained network
    photographs         folder of clean photographs, for its own rain and for fitted rain
    held_out            folder of other clean photographs, for the guard
    rainy               folder of rainy photographs of the place, without clean versions; None: none
    fitted              config of rain that was fitted to the place, as `rainsynth fit` writes it; None: none
    own_fraction        of the pairs in rain, those in its own, beside fitted rain; None: HALF
    results_fraction    of all pairs, those that are `rainy` with what the weights make of them, the mean over eight
                        views; None: no pairs, a mean teacher shows what to make of `rainy`
    """

    weights: str
    photographs: Path
    held_out: Path
    rainy: Path | None = None
    fitted: Path | None = None
    own_fraction: float | None = None
    results_fraction: float | None = None

    def __post_init__(self) -> None:
        if self.rainy is None and self.fitted is None:
            raise InputError("adapt must have --to RAINY_PHOTOGRAPHS or --fitted FITTED.yaml, got neither.")
        if self.results_fraction is not None:
            check_in_range(self.results_fraction, LEAST_FRACTION, 1 - LEAST_FRACTION, RESULTS_OPTION)
            if self.rainy is None:
                raise InputError(f"{RESULTS_OPTION} must go with --to RAINY_PHOTOGRAPHS, got none to make anything of.")
        if self.own_fraction is None:
            return
        check_in_range(self.own_fraction, 0, 1, "--own-fraction")
        if self.fitted is None:
            raise InputError(
                "--own-fraction must go with --fitted FITTED.yaml, got none: all pairs are in its own rain."
            )


def adapt(wanted: Adaptation, config: Path, out: Path, *, settings: Sequence[str] = (), resume: bool) -> TrainResult:
    """Train on from `wanted.weights` into the folder `out`, as the YAML file `config` says; see mspfn.trainer.train.

    The guard's pictures are rendered once, into a folder beside `out`, and so are results to learn from; under
    `torchrun` the first process makes them.
    """
    held_out = EvaluationConfig(photographs=str(wanted.held_out))
    values = given(wanted, set_values(config, settings), out)
    others = [setting for setting in settings if key_of(setting) not in TAKEN_IN]
    resolved = load_config(TrainConfig, config, others, **values)

    check_apart(DataConfig(photographs=str(wanted.photographs)), held_out)

    def make_pictures() -> None:
        results = beside(out, RESULTS_NAME)
        if wanted.results_fraction is not None and not (resume and results.exists()):
            write_results(wanted, results)
        evaluation_shards(held_out, beside(out, VALIDATION_NAME))

    with process_group(resolved.device, "adapt") as group:
        group.ask_first(make_pictures)
    return run_training(resolved, out, resume=resume)


def beside(out: Path, name: str) -> Path:
    """The folder of a name beside a run."""
    return out.with_name(f"{out.name}-{name}")


def write_results(wanted: Adaptation, folder: Path) -> None:
    """Write the rainy photographs as `input/` and what the weights make of them as `target/`; all or nothing."""
    assert wanted.rainy is not None
    derainer = load_derainer(wanted.weights, mirrored=True, shifted=True)
    photos = list_photos(wanted.rainy)
    with (
        new_folder(folder, f"the folder of {RESULTS_OPTION}") as part,
        progress("results to learn from", len(photos)) as advance,
    ):
        for number, path in enumerate(photos):
            rainy_srgb8 = read_photo(path)
            name = f"{number:04d}_{path.stem}{LOSSLESS_SUFFIX}"
            write_picture(part / INPUT_FOLDER / name, rainy_srgb8)
            write_picture(part / TARGET_FOLDER / name, derainer.restore(rainy_srgb8[None])[0])
            advance(1)


def given(wanted: Adaptation, values: dict[str, Any], out: Path) -> dict[str, Any]:
    """The values of a training config that follow from what is wanted, by "group__name", for a run in the folder `out`.

    The network's own rain, its target and its size are those that `values`, of the file and the settings, name, else
    what its weights say: of weights that were adapted before, the rain that they knew before that. Raises InputError
    where neither says which rain, or with which target.
    """
    known = about_weights(wanted.weights)
    run_before = known["about"].get("config", {})
    said = group(values, "data")
    trained_on = run_before.get("data", {}) | said
    adapted_before = None if "presets" in said else run_before.get("own_rain")
    own = adapted_before or trained_on.get("presets")
    check_known(own, trained_on.get("target"), wanted.weights)
    found: dict[str, Any] = {
        "network__name": known["network"]["name"],
        "network__overrides": known["network"]["config"] | group(values, "network", "overrides"),
        "network__start_weights": wanted.weights,
        "data__target": trained_on["target"],
        "data__photographs": str(wanted.photographs),
        "data__validation_shards": str(beside(out, VALIDATION_NAME) / SHARDS_FOLDER),
    }
    fitted = [asdict(part) for part in fitted_rain(wanted.fitted)] if wanted.fitted else []
    own_fraction = HALF if wanted.own_fraction is None else wanted.own_fraction
    found["data__presets"] = shared(own, fitted, own_fraction) if fitted else own
    found["own_rain"] = own
    if wanted.results_fraction is not None:
        rain = {"photographs": found["data__photographs"], "presets": found["data__presets"]}
        found |= {"data__photographs": None, "data__presets": [], "unpaired": None}
        found["data__sources"] = [
            rain | {"weight": 1 - wanted.results_fraction},
            {"pairs": str(beside(out, RESULTS_NAME)), "weight": wanted.results_fraction},
        ]
    elif wanted.rainy is None:
        found["unpaired"] = None
    else:
        found |= {"unpaired__photographs": str(wanted.rainy), "unpaired__presets": fitted or own}
    return found


def check_known(own_rain: object, target: object, weights: str) -> None:
    """Raise InputError unless it is known in which rain a network was trained, and with which target.

    With the other target it would learn to take off the veil that it had learned to keep, or to keep it.
    """
    missing = [f"data.{key}" for key, said in {"presets": own_rain, "target": target}.items() if not said]
    if missing:
        raise InputError(
            f"{' and '.join(missing)} must be named for weights that do not say what they were trained on, got "
            f"{weights}. Pass --set data.target=veiled or clean, and --set 'data.presets=[...]' as training configs do."
        )


def group(values: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The values under these keys, none where nothing stands there. Raises InputError for anything else."""
    for number, key in enumerate(keys, 1):
        values = values.get(key, {})
        if not isinstance(values, dict):
            raise InputError(f"{'.'.join(keys[:number])} must hold keys and values, got {values!r}.")
    return values


def fitted_rain(path: Path) -> Rain:
    """The mixture of a config of generated data."""
    values = read_yaml(path)
    values["data"] = {"photographs": "any"}  # only its rain is asked for
    return load_config(GenerateConfig, None, (), **values).mixture


def shared(own: list[dict[str, Any]], other: list[dict[str, Any]], own_fraction: float) -> list[dict[str, Any]]:
    """Two mixtures as one, in which the first is drawn from so often; one that never is is left out."""

    def weighted(parts: list[dict[str, Any]], fraction: float) -> list[dict[str, Any]]:
        total = sum(part.get("weight", 1.0) for part in parts)
        return [part | {"weight": fraction * part.get("weight", 1.0) / total} for part in parts if fraction > 0]

    return weighted(own, own_fraction) + weighted(other, 1 - own_fraction)
