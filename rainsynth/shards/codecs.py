"""How a shard's pictures and layers become bytes: four profiles, each named in the file it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import hdf5plugin

CODEC_VERSION = 1
GREEN_MEDIAN = "green-median-1"  # see rainsynth.shards.prediction
FLETCHER32, DEFLATE, SHUFFLE, ZSTD, BLOSC2 = 3, 1, 2, 32015, 32026  # numbers that HDF5 registered for filters

BLOSC2_LZ4 = dict(hdf5plugin.Blosc2(cname="lz4", clevel=9, filters=hdf5plugin.Blosc2.BITSHUFFLE))
ZSTD_1 = dict(hdf5plugin.Zstd(clevel=1))  # of residuals: levels up to 9 take longer and do not save a percent
ZSTD_SHUFFLE = {**hdf5plugin.Zstd(clevel=6), "shuffle": True}
GZIP_SHUFFLE = {"compression": "gzip", "compression_opts": 4, "shuffle": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """A profile: filters of pictures and of layers as h5py names them, the sides of their tiles, and the predictor.

    A tile side of 0 px stores a dataset in one piece, without filters and without checksums of its own.
    """

    pictures: dict[str, Any]
    layers: dict[str, Any]
    picture_tile_px: int = 128
    layer_tile_px: int = 128
    predictor: str = ""
    decoder: str

    def filters_of(self, name: str) -> dict[str, Any]:
        """Filters of a dataset, as arguments of h5py's create_dataset."""
        return self.layers if name.startswith("layers/") else self.pictures

    def tile_px_of(self, name: str) -> int:
        """Side of a dataset's tiles [px]; 0 for one piece."""
        return self.layer_tile_px if name.startswith("layers/") else self.picture_tile_px

    def described(self, profile: str) -> dict[str, Any]:
        """What a file says of its codec."""
        return {
            "profile": profile,
            "version": CODEC_VERSION,
            "decoder": self.decoder,
            "predictor": {"datasets": ["clean", "rainy"], "name": self.predictor} if self.predictor else None,
            "picture_tile_px": self.picture_tile_px,
            "layer_tile_px": self.layer_tile_px,
        }


CODECS: dict[str, Codec] = {
    "default": Codec(
        pictures=BLOSC2_LZ4,
        layers=BLOSC2_LZ4,
        decoder="Blosc2 (HDF5 filter 32026) with LZ4 and bitshuffle, Fletcher-32 (filter 3); hdf5plugin has the filter",
    ),
    "small": Codec(
        pictures=ZSTD_1,
        layers=ZSTD_SHUFFLE,
        picture_tile_px=64,
        predictor=GREEN_MEDIAN,
        decoder="clean and rainy: Zstandard (HDF5 filter 32015) of residuals (N, 3, H, W), predictor green-median-1: in"
        " each tile of picture_tile_px, residual = (value - median(left, up, left + up - upper left)) mod 256 of the"
        " planes R - G, G, B - G; the first row of a tile predicts from the left, its first column from above, its"
        " first pixel 0. layers: shuffle (filter 2), Zstandard. All: Fletcher-32 (filter 3). hdf5plugin has"
        " the filters",
    ),
    "fast": Codec(
        pictures={},
        layers={},
        picture_tile_px=0,
        layer_tile_px=0,
        decoder="none: every dataset lies uncompressed in one piece; its attribute sha256 is that of its bytes",
    ),
    "portable": Codec(
        pictures=GZIP_SHUFFLE,
        layers=GZIP_SHUFFLE,
        decoder="shuffle (HDF5 filter 2), gzip (filter 1), Fletcher-32 (filter 3): filters of every HDF5 library",
    ),
}
