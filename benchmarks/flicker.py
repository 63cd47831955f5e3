"""Whether a network flickers on a film: change from frame to frame before and after, along the motion of the scene.

    python benchmarks/flicker.py WEIGHTS FRAMES

FRAMES is a folder of consecutive frames in the order of their names. Frame t+1 is brought onto frame t by optical flow
(DIS, of the derained frames, checked there and back); then the mean absolute difference of luma [codes] is taken, over
all pixels that the flow explains, over those that the network leaves nearly alone in both frames, and of means over
33x33 px, which show brightness that pumps.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from mspfn import derain, load_weights
from rainsynth.metrics import luma
from rainsynth.pictures import list_photos, read_photo

CHECK_PX = 0.5  # flow there and back that misses by more explains nothing
MARGIN_PX = 8
LEFT_ALONE_CODES = 4.0
PUMPING_PX = 33
NEAR_PX = 5  # around what the network changes

Luma = Float[np.ndarray, "h w"]
Mask = Bool[np.ndarray, "h w"]


def flow_px(first: Luma, second: Luma) -> Float[np.ndarray, "h w 2"]:
    """Where each pixel of the first frame lies in the second."""
    before, after = (cv2.medianBlur(frame.clip(0, 255).astype(np.uint8), 5) for frame in (first, second))
    dense = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return dense.calc(before, after, np.zeros((*first.shape, 2), np.float32))


def places(flow: Float[np.ndarray, "h w 2"]) -> tuple[Luma, Luma]:
    """Column and row in the second frame of each pixel of the first."""
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    return columns + flow[..., 0], rows + flow[..., 1]


def explained(there: Float[np.ndarray, "h w 2"], back: Float[np.ndarray, "h w 2"]) -> Mask:
    """Pixels that come back to where they were, away from the picture's edges."""
    columns, rows = places(there)
    miss = there + cv2.remap(back, columns, rows, cv2.INTER_LINEAR)
    height, width = columns.shape
    inside = (columns > MARGIN_PX) & (columns < width - 1 - MARGIN_PX)
    inside &= (rows > MARGIN_PX) & (rows < height - 1 - MARGIN_PX)
    return (np.hypot(miss[..., 0], miss[..., 1]) < CHECK_PX) & inside


def changed(rainy: Luma, derained: Luma) -> Luma:
    """1 near what the network changes, 0 elsewhere."""
    change = (np.abs(rainy - derained) > LEFT_ALONE_CODES).astype(np.float32)
    return cv2.dilate(change, np.ones((NEAR_PX, NEAR_PX)))


def differences(rainy: list[Luma], derained: list[Luma]) -> list[tuple[float, ...]]:
    """Of two frames, before and after: differences everywhere, where left alone, of 33 px means; then two shares."""
    there, back = flow_px(*derained), flow_px(*reversed(derained))
    known, (columns, rows) = explained(there, back), places(there)
    alone = known & (changed(rainy[0], derained[0]) == 0)
    alone &= cv2.remap(changed(rainy[1], derained[1]), columns, rows, cv2.INTER_LINEAR) == 0
    found = []
    for first, second in (rainy, derained):
        step = cv2.remap(second, columns, rows, cv2.INTER_CUBIC) - first
        pumping = cv2.blur(step, (PUMPING_PX, PUMPING_PX))
        left = float(np.abs(step[alone]).mean()) if alone.any() else np.nan
        found.append((float(np.abs(step[known]).mean()), left, float(np.abs(pumping[known]).mean())))
    return [*found, (float(known.mean()), float(alone.mean()))]


def main() -> None:
    """Print a table of means over the film."""
    torch.set_num_threads(1)
    network = load_weights(sys.argv[1])
    photos: list[UInt8[np.ndarray, "h w 3"]] = [read_photo(path) for path in list_photos(Path(sys.argv[2]))]
    rainy = [luma(photo).astype(np.float32) for photo in photos]
    derained = [luma(derain(photo, network)).astype(np.float32) for photo in photos]
    pairs = [differences(rainy[frame : frame + 2], derained[frame : frame + 2]) for frame in range(len(rainy) - 1)]
    before, after, shares = (np.nanmean([pair[part] for pair in pairs], axis=0) for part in range(3))
    print("| where | rainy | derained |\n|---|---|---|")
    names = (
        f"pixels that the flow explains ({100 * shares[0]:.0f} %)",
        f"of these, left alone by the network in both frames ({100 * shares[1]:.0f} %)",
        f"means over {PUMPING_PX} px",
    )
    for name, rainy_codes, derained_codes in zip(names, before, after, strict=True):
        print(f"| {name} | {rainy_codes:.2f} | {derained_codes:.2f} |")


if __name__ == "__main__":
    main()
