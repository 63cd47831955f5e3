"""Depth of a photograph by a user's own ONNX model, metric or relative."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from rainsynth.checks import InputError, check_choice, check_count, check_number, check_photo, one_line
from rainsynth.scene.background import MAX_DEPTH_M
from rainsynth.scene.depth_file import MIN_DEPTH_M, SCALE_RANGE_M

# What gives a photograph's depth [m]: a picture (H, W, 3) uint8 RGB in, a map (H, W) out.
DepthModel = Callable[[UInt8[np.ndarray, "h w 3"]], Float[np.ndarray, "h w"]]

KINDS = ("metric", "inverse")
# (mean, standard deviation) taken from RGB in [0, 1]. imagenet: Depth Anything, MiDaS v2.1. half: MiDaS v3 (DPT, BEiT,
# Swin) and ZoeDepth. unit: models that normalise inside, as MiDaS v2.1's own ONNX file. codes: 0 to 255, as Metric3D's.
NORMALIZATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "codes": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
REASON_LENGTH = 200  # characters of onnxruntime's messages that a refusal shows
FATAL = 4  # onnxruntime's severity: its other messages would stand beside our one line
INPUT_AXES = 4  # N, C, H, W


class OnnxDepth:
    """A callable (H, W, 3) uint8 sRGB -> depth (H, W) float32 [m] around an ONNX file for depth from one picture.

    The model takes one float32 tensor (1, 3, h, w) of RGB; its first output is (h', w') with leading axes of length 1.
    The picture is shrunk or enlarged (Pillow, bicubic) to the size that the file names; where the file leaves sizes
    open, its short side becomes `short_side_px` with the aspect kept, and both sides are rounded to `multiple_px`
    (Depth Anything: 518 and 14; MiDaS, ZoeDepth: 384 and 32). `normalization` is what is taken from the colours first:
    a name in NORMALIZATIONS. The output is brought to the picture's size bilinearly.

    `kind` metric: the output times `scale_m` is metres. (Metric3D's is depth for a focal length of 1000 px: give
    scale_m = focal length in pixels of its own input / 1000.)
    `kind` inverse: the output is relative inverse depth, near is large, up to an unknown scale and shift (MiDaS, Depth
    Anything). 1/z is then linear in it, from 1/far_m at the picture's least value to 1/near_m at its greatest. Which
    depths those are no such model knows: both must be given. A choice.

    Metric depth is limited to 0.01 to 60,000 m. On `threads` processor threads; with one, the default, a picture always
    gives the same numbers on the same machine. Needs onnxruntime: pip install 'rainsynth[depth]'.
    InputError where the package or the file is missing, the file is no such model, or its output is not depth.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        kind: str = "metric",
        near_m: float | None = None,
        far_m: float | None = None,
        scale_m: float | None = None,
        normalization: str = "imagenet",
        short_side_px: int = 518,
        multiple_px: int = 14,
        threads: int = 1,
    ) -> None:
        check_model_kind(kind, near_m, far_m, scale_m)
        check_choice(normalization, tuple(NORMALIZATIONS), "depth model normalization")
        check_count(short_side_px, 16, 8192, "short_side_px")
        check_count(multiple_px, 1, 512, "multiple_px")
        check_count(threads, 1, 1024, "threads")
        self.path = Path(path)
        self.kind, self.scale = kind, np.float32(scale_m or 1)
        self.nearness_range = (1 / (far_m or np.inf), 1 / (near_m or np.inf))  # 1/m, of kind inverse
        self.normalization, self.short_side_px, self.multiple_px = normalization, short_side_px, multiple_px
        self.session = _session(self.path, threads)
        self.input_name, self.input_size_px = _input_of(self.session, self.path)

    def __call__(self, image_srgb8: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
        """Depth of every pixel [m]."""
        check_photo(image_srgb8, "image_srgb8")
        height_px, width_px = image_srgb8.shape[:2]
        output = self._run(self._tensor(image_srgb8))
        output = cv2.resize(output, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
        return self._metric_m(output) if self.kind == "metric" else self._inverse_m(output)

    def _tensor(self, image_srgb8: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "1 3 h2 w2"]:
        """The picture as the model wants it."""
        height_px, width_px = self._size_px(*image_srgb8.shape[:2])
        resized = Image.fromarray(image_srgb8).resize((width_px, height_px), Image.Resampling.BICUBIC)
        mean, deviation = (np.array(values, dtype=np.float32) for values in NORMALIZATIONS[self.normalization])
        colours = (np.asarray(resized, dtype=np.float32) / 255 - mean) / deviation
        return np.ascontiguousarray(colours.transpose(2, 0, 1)[None])

    def _size_px(self, height_px: int, width_px: int) -> tuple[int, int]:
        """(height, width) of the model's input for a picture of this size."""
        scale = self.short_side_px / min(height_px, width_px)
        own = (max(1, round(side * scale / self.multiple_px)) * self.multiple_px for side in (height_px, width_px))
        height, width = (named or side for named, side in zip(self.input_size_px, own, strict=True))
        return height, width

    def _run(self, tensor: Float[np.ndarray, "1 3 h w"]) -> Float[np.ndarray, "h2 w2"]:
        """The model's first output, as a map."""
        try:
            output = np.asarray(self.session.run(None, {self.input_name: tensor})[0])
        except Exception as error:  # onnxruntime's errors share no class of their own
            hint = "Its file may want another size: try another multiple_px or short_side_px."
            raise InputError(
                one_line(f"{self.path} must run on {tensor.shape}, got: {_reason(error)}.", hint)
            ) from None
        if output.ndim < 2 or max(output.shape[:-2], default=1) != 1 or min(output.shape) < 1:
            raise InputError(f"{self.path} must give depth of shape (1, 1, H, W) or less, got {output.shape}.")
        output = output.reshape(output.shape[-2:]).astype(np.float32)
        if not np.isfinite(output).all():
            raise InputError(f"{self.path} must give finite numbers, got NaN or infinity. Is normalization right?")
        return output

    def _metric_m(self, output: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
        if output.min() < 0 or output.max() <= 0:
            hint = "Is it a relative model? Then give kind inverse, near_m and far_m."
            found = f"{output.min():g} to {output.max():g}"
            raise InputError(f"{self.path} must give depth over 0 m for kind metric, got {found}. {hint}")
        return np.clip(output * self.scale, MIN_DEPTH_M, MAX_DEPTH_M)

    def _inverse_m(self, output: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
        low, high = float(output.min()), float(output.max())
        if low == high:
            raise InputError(f"{self.path} must give depth that varies over the picture, got {low:g} all over.")
        nearness = np.interp(output, (low, high), self.nearness_range)
        return (1 / nearness).astype(np.float32)


def _reason(error: Exception) -> str:
    """The beginning of an error's message."""
    return str(error).strip().rstrip(".")[:REASON_LENGTH]


def check_model_kind(kind: str, near_m: float | None, far_m: float | None, scale_m: float | None) -> None:
    """Raise InputError unless the options of a kind of model go together."""
    check_choice(kind, KINDS, "depth model kind")
    if kind == "metric":
        if near_m is not None or far_m is not None:
            raise InputError("near_m and far_m must go with a depth model of kind inverse, got kind metric.")
        if scale_m is not None:
            check_number(scale_m, *SCALE_RANGE_M, "depth model scale_m", "Metres of a unit of the output.")
        return
    if scale_m is not None:
        raise InputError("scale_m must go with a depth model of kind metric, got kind inverse.")
    if near_m is None or far_m is None:
        raise InputError("near_m and far_m must be given for a depth model of kind inverse: it knows no metres.")
    check_number(near_m, MIN_DEPTH_M, MAX_DEPTH_M, "near_m")
    check_number(far_m, MIN_DEPTH_M, MAX_DEPTH_M, "far_m")
    if near_m >= far_m:
        raise InputError(f"far_m must be over near_m {near_m:g}, got {far_m:g}.")


def _session(path: Path, threads: int) -> Any:
    """The model, loaded on the processor."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise InputError("a depth model must have onnxruntime installed. Run pip install 'rainsynth[depth]'.") from None
    if not path.is_file():
        raise InputError(f"depth model must be an ONNX file, got nothing at {str(path)!r}. Is the path right?")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = FATAL
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no class of their own
        raise InputError(one_line(f"{path} must be an ONNX model, got: {_reason(error)}.")) from None


def _input_of(session: Any, path: Path) -> tuple[str, tuple[int | None, int | None]]:
    """Name of the model's input, and (height, width) where the file names them."""
    inputs = session.get_inputs()
    shape = inputs[0].shape if inputs else []
    fits = len(inputs) == 1 and inputs[0].type == "tensor(float)" and len(shape) == INPUT_AXES
    channels = shape[1] if fits else None
    if not fits or (isinstance(channels, int) and channels != 3) or (isinstance(shape[0], int) and shape[0] != 1):
        found = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs) or "none"
        raise InputError(f"{path} must take one float32 input (1, 3, H, W), got {found}. Export it so.")
    height, width = (side if isinstance(side, int) and side > 0 else None for side in shape[2:])
    return inputs[0].name, (height, width)
