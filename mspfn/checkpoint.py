"""Weights and checkpoints in files: written whole or not at all, read without running any code that they hold.

Both are archives of torch.save. The same training gives the same bytes: strings are interned first (pickle stores the
same string object once), and the archive's inner name does not follow the file's.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
import zipfile
import zlib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import rainsynth
from mspfn.networks import NETWORKS, build_network
from rainsynth.checks import InputError

WEIGHTS_FORMAT, CHECKPOINT_FORMAT = "mspfn-weights", "mspfn-checkpoint"
FORMAT_VERSION = 1
BUNDLED_WEIGHTS = Path(__file__).parent / "weights"

State = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A training run after `step` steps, with all that the next step depends on.

    network         {"name": ..., "config": {...}}, from which build_network makes it again
    weights         trained; `average` is their running mean, which a run hands out
    optimizer       its state_dict
    counters        what the loop counts: running loss, skipped steps, best validation
    stage           the curriculum's stage, for people
    pacing          what the curriculum follows of what the run has measured, as mspfn.pacing records it
    config          the run's resolved config
    log_bytes       length of log.jsonl at this step
    """

    network: dict[str, Any]
    weights: State
    average: State
    optimizer: dict[str, Any]
    counters: dict[str, Any]
    step: int
    stage: str
    config: dict[str, Any]
    log_bytes: int
    pacing: dict[str, Any] = field(default_factory=dict)
    code_version: str = rainsynth.__version__


PARTS = {
    WEIGHTS_FORMAT: ("network", "weights", "about", "code_version"),
    CHECKPOINT_FORMAT: tuple(field.name for field in fields(Checkpoint)),
}


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all."""
    parts = {name: getattr(checkpoint, name) for name in PARTS[CHECKPOINT_FORMAT]}
    write_whole(path, archive_bytes({"format": CHECKPOINT_FORMAT, "format_version": FORMAT_VERSION, **parts}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; InputError for a file that is cut, damaged or something else."""
    content = read_archive(path)
    if content["format"] != CHECKPOINT_FORMAT:
        raise InputError(f"{path} must be a checkpoint of `rainsynth train`, got {content['format']}.")
    return Checkpoint(**{name: content[name] for name in PARTS[CHECKPOINT_FORMAT]})


def save_weights(path: Path, network: nn.Module, *, half: bool = False, about: dict[str, Any] | None = None) -> None:
    """Write a network's weights and config, all that `load_weights` needs, whole or not at all.

    half    store in float16: half the size, weights exact to 0.05 %
    about   plain values for people: what the weights were trained on, their scores, their licence
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    if half:
        weights = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    content = {
        "format": WEIGHTS_FORMAT,
        "format_version": FORMAT_VERSION,
        "network": describe(network),
        "weights": weights,
        "about": about or {},
        "code_version": rainsynth.__version__,
    }
    write_whole(path, archive_bytes(content))


def load_weights(name_or_path: str | Path) -> nn.Module:
    """The network of a weights file or checkpoint, or of a bundled name, in evaluation mode and float32.

    Of a checkpoint it takes the running mean of the weights. InputError for what cannot be read as one.
    """
    path = weights_path(name_or_path)
    content = read_archive(path)
    network = build_network(content["network"]["name"], **content["network"]["config"])
    load_state(network, content["average" if content["format"] == CHECKPOINT_FORMAT else "weights"], path)
    return network.eval()


def about_weights(name_or_path: str | Path) -> dict[str, Any]:
    """What a weights file says about itself: network, code version and the `about` it was saved with.

    Of a checkpoint `about` are its steps so far and the config of its run.
    """
    content = read_archive(weights_path(name_or_path))
    if content["format"] == CHECKPOINT_FORMAT:
        content["about"] = {"steps": content["step"], "config": content["config"]}
    return {key: content[key] for key in ("network", "code_version", "about")}


def load_state(network: nn.Module, state: State, path: Path) -> None:
    """Copy `state`, read from `path`, into a network; InputError unless names and shapes are the network's."""
    own = network.state_dict()
    differing = [name for name in own if name not in state or state[name].shape != own[name].shape]
    differing += [name for name in state if name not in own]
    if differing:
        raise InputError(
            f"{path} must hold the weights of {describe(network)['name']} with {len(own)} tensors of its shapes, "
            f"got {len(differing)} that differ, such as {differing[0]}. Are they another network's?"
        )
    network.load_state_dict(state)


def weights_path(name_or_path: str | Path) -> Path:
    """File of a bundled name, or the path itself; InputError if there is neither."""
    bundled = BUNDLED_WEIGHTS / f"{name_or_path}.pt"
    for path in (bundled, Path(name_or_path)):
        if path.is_file():
            return path
    names = ", ".join(sorted(path.stem for path in BUNDLED_WEIGHTS.glob("*.pt"))) or "none are bundled"
    raise InputError(
        f"weights must be the path of a file or a bundled name ({names}), got {str(name_or_path)!r}. "
        "A training run writes RUN/weights.pt."
    )


def describe(network: nn.Module) -> dict[str, Any]:
    """Name and full config from which `build_network` makes a network of the same shape."""
    name = next(name for name, (kind, _) in NETWORKS.items() if type(network) is kind)
    return {"name": name, "config": asdict(network.config)}  # type: ignore[call-overload]


def archive_bytes(content: dict[str, Any]) -> bytes:
    """`content` as torch.save writes it; equal contents give equal bytes."""
    buffer = io.BytesIO()
    torch.save(canonical(content), buffer)
    return buffer.getvalue()


def canonical(value: Any) -> Any:
    """The same value made of new containers and interned strings, so that object identities say nothing."""
    if isinstance(value, dict):
        return {canonical(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return sys.intern(str(value)) if isinstance(value, str) else value


def write_whole(path: Path, content: bytes) -> None:
    """Write beside `path`, then rename: whoever looks finds the old file, the new one, or none, never a part."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name, too, survives a power cut
    finally:
        os.close(folder)


def read_archive(path: Path) -> dict[str, Any]:
    """A file of ours as plain values and tensors; anything else is an InputError in one line."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load does not look at checksums
        content = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path} must be a file of weights, got nothing there. Is the path right?") from None
    except pickle.UnpicklingError:
        raise InputError(
            f"{path} must hold tensors and plain values only, got pickled code, which is not run. "
            "Save the state_dict rather than the whole network."
        ) from None
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path} must be a whole weights file, got: {reason}. Is it cut, or of another kind?"
        ) from None
    if damaged:
        raise InputError(f"{path} must be undamaged, got a wrong checksum in {damaged}. Copy it again.")
    check_content(content, path)
    return content  # type: ignore[return-value]


def check_content(content: Any, path: Path) -> None:
    """Raise InputError unless `content` of `path` is ours, of this version, with all its parts."""
    kind = content.get("format") if isinstance(content, dict) else None
    if kind not in PARTS:
        raise InputError(
            f"{path} must be written by rainsynth, got other content. "
            "`rainsynth import-mspfn` reads the authors' checkpoints."
        )
    if content.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{path} must be of format version {FORMAT_VERSION}, got {content.get('format_version')}. "
            f"It was written by rainsynth {content.get('code_version')}, this is {rainsynth.__version__}."
        )
    missing = [part for part in PARTS[kind] if part not in content]
    if missing:
        raise InputError(f"{path} must hold {', '.join(PARTS[kind])}, got none of {', '.join(missing)}.")
