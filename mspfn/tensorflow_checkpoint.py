"""Variables of TensorFlow checkpoints as arrays. TensorFlow is needed only here, and only to read."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mspfn.networks.tensorflow_weights import OPTIMIZER_VARIABLE
from rainsynth.checks import InputError

INDEX_SUFFIX = ".index"
PART_SUFFIX = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")  # files NAME.index, NAME.data-00000-of-00001, NAME.meta
NEWEST = re.compile(r'^model_checkpoint_path: "(.*)"', re.MULTILINE)  # in the file `checkpoint` of a folder
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}  # what it says on loading tells a user nothing


class Reader(Protocol):
    """What this module needs of tf.train.load_checkpoint's answer."""

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Shape of every variable by its name."""

    def get_tensor(self, name: str) -> Any:
        """One variable's values."""


def read_tensorflow_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """Variables of a checkpoint by name, without those of the optimiser.

    path    a prefix as TensorFlow names checkpoints (FOLDER/epoch50), one of its files, or a folder with one

    InputError for a path without checkpoint, one that cannot be read, or where TensorFlow is not installed.
    """
    prefix = checkpoint_prefix(path)
    reader = open_checkpoint(prefix)
    names = [name for name in reader.get_variable_to_shape_map() if not OPTIMIZER_VARIABLE.search(name)]
    try:
        return {name: np.asarray(reader.get_tensor(name)) for name in sorted(names)}
    except Exception as error:  # of damaged data: OpError or IndexError, as TensorFlow 2.21 has it
        raise unreadable(prefix, error) from None


def checkpoint_prefix(path: Path) -> Path:
    """The prefix that names a checkpoint: of a folder the one that its file `checkpoint` calls newest, or its only one.

    InputError if nothing is there.
    """
    if path.is_dir():
        return prefix_in_folder(path)
    prefix = path.with_name(PART_SUFFIX.sub("", path.name))
    if not index_of(prefix).is_file() and not prefix.is_file():  # the oldest format is one file without a suffix
        raise InputError(
            f"checkpoint must be a TensorFlow checkpoint's prefix, file or folder, got {str(path)!r} and no "
            f"{index_of(prefix).name} beside it. Is the path right?"
        )
    return prefix


def prefix_in_folder(folder: Path) -> Path:
    """The checkpoint of a folder; the file `checkpoint` may hold paths of the machine that wrote it."""
    prefixes = sorted(index.with_name(index.name.removesuffix(INDEX_SUFFIX)) for index in folder.glob("*.index"))
    listing = folder / "checkpoint"
    if listing.is_file() and (newest := NEWEST.search(listing.read_text(errors="replace"))):
        name = re.split(r"[\\/]", newest[1])[-1]
        prefixes = [prefix for prefix in prefixes if prefix.name == name] or prefixes
    if len(prefixes) != 1:
        found = ", ".join(prefix.name for prefix in prefixes[:3]) or "none"
        raise InputError(
            f"checkpoint must be a folder with one TensorFlow checkpoint, got {found} in {str(folder)!r}. "
            "Name the file NAME.index itself."
        )
    return prefixes[0]


def index_of(prefix: Path) -> Path:
    """The file that lists a checkpoint's variables."""
    return prefix.with_name(prefix.name + INDEX_SUFFIX)


def open_checkpoint(prefix: Path) -> Reader:
    """TensorFlow's reader of a checkpoint."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import tensorflow
    except ModuleNotFoundError:
        raise InputError(
            "TensorFlow must be installed to read its checkpoints, got no such package. "
            "Run pip install 'rainsynth[tensorflow]'."
        ) from None
    try:
        return tensorflow.train.load_checkpoint(str(prefix))
    except Exception as error:
        raise unreadable(prefix, error) from None


def unreadable(prefix: Path, error: Exception) -> InputError:
    """The refusal of a checkpoint for TensorFlow's reason, in one line."""
    reason = " ".join(str(error).split())[:120]
    return InputError(f"{prefix} must be a whole TensorFlow checkpoint, got: {reason}. Is it cut, or of another kind?")
