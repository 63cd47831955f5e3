"""Networks as ONNX files, for programs that do without PyTorch: any batch, height and width."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mspfn.checkpoint import write_whole
from rainsynth.checks import InputError

INPUT_NAME, OUTPUT_NAME = "rainy", "derained"
OPSET = 20  # of ONNX 1.15, late 2023: the newest whose operators onnxruntime 1.17 and newer all run
EXAMPLE_SIZE = (2, 3, 45, 51)  # of the traced picture: unequal and odd, so that nothing is taken for a constant
CHECKED_SIZES = ((1, 3, 64, 48), (2, 3, 37, 52), (1, 3, 5, 3), (1, 3, 1, 1))
LARGEST_DIFFERENCE = 1e-4  # between the file and PyTorch, of pictures in [0, 1]


def export_onnx(network: nn.Module, path: Path) -> float:
    """Write `network` as an ONNX file, whole or not at all; returns its largest difference from PyTorch.

    Input "rainy" and output "derained" are (N, 3, H, W) float32 sRGB, the input in [0, 1], the output not clipped.
    The file is run by onnxruntime on a few sizes before it is published; InputError if it differs by over 1e-4.
    Needs the extra `export`.
    """
    if path.is_dir():
        raise InputError(f"--output must be a file, got the folder {str(path)!r}. Name it NETWORK.onnx.")
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "network.onnx"
        trace(network, draft)
        content = draft.read_bytes()
    difference = largest_difference(network, content)
    if not difference <= LARGEST_DIFFERENCE:
        raise InputError(
            f"the ONNX file must give what PyTorch gives to {LARGEST_DIFFERENCE}, got one {difference:.2g} off. "
            "Do the weights hold NaN, or values far above 1?"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
    return difference


class AnySize(nn.Module):
    """A network behind a padding that a graph can hold: pictures grow by reflection to its multiple of pixels."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.multiple_px = int(getattr(network, "picture_multiple_px", 1))

    def forward(self, rainy: Tensor) -> Tensor:
        height, width = rainy.shape[-2:]
        grown = self.grown(self.grown(rainy, -2), -1) if self.multiple_px > 1 else rainy
        return self.network(grown)[..., :height, :width]

    def grown(self, picture: Tensor, dim: int) -> Tensor:
        """mspfn.networks.mspfn.pad_by_reflection along one side, without a choice that depends on the size."""
        size = picture.shape[dim]
        place = torch.arange((size + self.multiple_px - 1) // self.multiple_px * self.multiple_px)
        period = torch.clamp(torch.scalar_tensor(2 * (size - 1), dtype=torch.int64), min=1)
        step = place % period
        return picture.index_select(dim, torch.minimum(step, period - step))


def trace(network: nn.Module, path: Path) -> None:
    """The graph of `network` with free batch, height and width, in float32, as a file."""
    rainy = torch.linspace(0, 1, int(np.prod(EXAMPLE_SIZE))).reshape(EXAMPLE_SIZE)
    with quiet():
        program = torch.onnx.export(
            AnySize(network.eval()),
            (rainy,),
            dynamo=True,
            dynamic_shapes={INPUT_NAME: {0: "batch", 2: "height", 3: "width"}},
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            opset_version=OPSET,
            verbose=False,
        )
        assert program is not None
        program.save(str(path))


def largest_difference(network: nn.Module, content: bytes) -> float:
    """Largest difference of an ONNX file's output from the network's, over pictures of several sizes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    differences = []
    for size in CHECKED_SIZES:
        rainy = rng.random(size, dtype=np.float32)
        (derained,) = session.run([OUTPUT_NAME], {INPUT_NAME: rainy})
        with torch.inference_mode():
            expected = network(torch.from_numpy(rainy)).numpy()
        differences.append(float(np.abs(derained - expected).max()))
    return max(differences) if np.isfinite(differences).all() else float("nan")


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages and passes that say nothing to a user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
