"""Randomness as a function of (dataset seed, sample index), and of nothing else."""

from __future__ import annotations

import numpy as np

from rainsynth.checks import check_count

DROPS_STREAM = 0  # which drops fall where
PRESET_STREAM = 1  # which rain, camera and photograph a sample gets
COUNTER_STREAM = 2  # sensor noise, drawn again whenever a picture is composed, and texture
MIXTURE_STREAM = 3  # which rate within a mixture's range, which window of the photograph
ORDER_STREAM = 4  # in which order a data set goes through its photographs


def sample_rng(dataset_seed: int, sample_index: int, stream: int = DROPS_STREAM) -> np.random.Generator:
    """Random stream of one sample: the same whatever the worker, the order or the size of a shard."""
    return np.random.default_rng(_sequence(dataset_seed, sample_index, stream))


def sample_keys(dataset_seed: int, sample_index: int) -> tuple[int, int]:
    """64-bit keys of a sample's counter-based numbers (see rainsynth.counters): of its sensor noise, of its texture."""
    noise, texture = _sequence(dataset_seed, sample_index, COUNTER_STREAM).generate_state(2, np.uint64)
    return int(noise), int(texture)


def _sequence(dataset_seed: int, sample_index: int, stream: int) -> np.random.SeedSequence:
    check_count(dataset_seed, 0, 2**63 - 1, "seed", "Seeds are whole numbers; 0 is a seed.")
    check_count(sample_index, 0, 2**63 - 1, "index")
    return np.random.SeedSequence(int(dataset_seed), spawn_key=(int(sample_index), stream))
