"""Networks that take rain off pictures, their training and their use.

    from mspfn import derain, load_weights
    derained_srgb8 = derain(photo_srgb8, load_weights("mspfn-small"))

Names are loaded when first used, so that importing the package is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mspfn.checkpoint import load_weights as load_weights
    from mspfn.inference import derain as derain
    from mspfn.inference import derain_batch as derain_batch
    from mspfn.metrics import psnr_y as psnr_y
    from mspfn.metrics import ssim_y as ssim_y
    from mspfn.networks import build_network as build_network

HOMES = {
    "build_network": "mspfn.networks",
    "derain": "mspfn.inference",
    "derain_batch": "mspfn.inference",
    "load_weights": "mspfn.checkpoint",
    "psnr_y": "mspfn.metrics",
    "ssim_y": "mspfn.metrics",
}

__all__ = [*HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module 'mspfn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
