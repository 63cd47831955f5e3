"""HDF5 shards: the one contract between rendering and training. The format is described in README.md beside this."""

from rainsynth.shards.reader import ShardSet, StoredSample, open_shards
from rainsynth.shards.schema import LAYERS
from rainsynth.shards.writer import write_shard

__all__ = ["LAYERS", "ShardSet", "StoredSample", "open_shards", "write_shard"]
