"""What the network sees next: the batch of a step, by (seed, step) and by what its curriculum follows of the run.

`TrainingPairs` draws windows from what is a `PairSource`: shards, PairFolder, RenderedPairs, or a Mixture of these;
`Prefetcher` has them made ahead. They are 8-bit pictures, which mspfn.pixels makes into tensors.
"""

from __future__ import annotations

from mspfn.mixture import Mixture
from mspfn.pair_folder import PairFolder
from mspfn.pair_source import Pair, PairSource
from mspfn.prefetch import Prefetcher
from mspfn.rendered_pairs import RenderedPairs
from mspfn.training_pairs import TrainingPairs, Windows

__all__ = [
    "Mixture",
    "Pair",
    "PairFolder",
    "PairSource",
    "Prefetcher",
    "RenderedPairs",
    "TrainingPairs",
    "Windows",
]
