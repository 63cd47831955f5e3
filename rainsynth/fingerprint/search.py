"""Leaks between two collections of fingerprints: an inverted index proposes pairs, a similarity settles each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, UInt8, UInt64
from numba import njit

from rainsynth.checks import check_count
from rainsynth.fingerprint.features import Features, mirrored, unpack
from rainsynth.fingerprint.match import MIN_INLIERS, Similarity, consensus, distance_bits, find_similarity, longer_side

TABLES = 16
KEY_BITS = 16
BIT_STRIDE = 45  # bits of a key are this far apart among the 128 bits about the median: neighbours say the same
BUCKETS = 2 << KEY_BITS  # grey and colour apart
INDEX_DISTANCE_BITS = 50  # of 256: a pair is proposed by features at least this like
MAX_BUCKET_SHARE = 32  # a bucket over this many times the mean says nothing, and is passed over
MAX_EXHAUSTIVE_PAIRS = 100_000  # half a minute on one core

# Pictures of different things, over 766,000 pairs of BSDS backgrounds and changed copies of others: 1 in 16,000 has 4
# inliers, of those with inliers 1 in 250 has thumbnails that agree by 0.8, and one pair of all had both. Each further
# inlier is at least 100 times as rare.
MIN_AGREEMENT = 0.8
MIN_LEAK_INLIERS = 4
CHANCE_OF_MIN_INLIERS = 1.5e-6
CHANCE_PER_INLIER = 0.01
MAX_EXPECTED_FALSE_ALARMS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """Picture `test` of one collection is a changed copy of picture `train` of the other.

    `similarity` maps train to test; `expected_by_chance` is how many pairs as good as this one chance alone gives in
    the whole comparison.
    """

    train: int
    test: int
    similarity: Similarity
    expected_by_chance: float


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Features of a collection by their keys: `order[starts[t, k] : starts[t, k + 1]]` of table t have key k."""

    pictures: Sequence[Features]
    places: np.ndarray
    codes: UInt64[np.ndarray, "n 4"]
    keys: Int32[np.ndarray, "n tables"]
    picture: Int32[np.ndarray, "n"]
    sides_px: np.ndarray
    order: Int32[np.ndarray, "tables n"]
    starts: np.ndarray


def find_leaks(
    train: Sequence[UInt8[np.ndarray, "8192"]],
    test: Sequence[UInt8[np.ndarray, "8192"]],
    *,
    threads: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> list[Leak]:
    """All pairs of two collections of fingerprints in which one picture is a changed copy of the other.

    Found are crops, quarter and other turns, mirror images, equal scalings of both sides, JPEG, rain, and those
    together; the more pairs, the more inliers are asked for, so that fewer than 0.05 false alarms are expected in all.
    Up to 100,000 pairs are compared one by one, more by way of the index. `advance` is called after each picture of
    `test`. Not found: copies squeezed along one side, or in other colours.
    """
    pairs = len(train) * len(test)
    needed = required_inliers(pairs)
    index = build_index([unpack(fingerprint) for fingerprint in train])

    def leaks_of(row: int) -> list[Leak]:
        picture = unpack(test[row])
        mirror = mirrored(picture)
        proposed = range(len(train)) if pairs <= MAX_EXHAUSTIVE_PAIRS else candidates(index, picture, mirror)
        found = ((i, find_similarity(picture, index.pictures[i], mirror)) for i in proposed)
        return [
            Leak(train=i, test=row, similarity=one.inverse(), expected_by_chance=expected_by_chance(one.inliers, pairs))
            for i, one in found
            if one is not None and one.inliers >= needed and one.agreement >= MIN_AGREEMENT
        ]

    leaks: list[Leak] = []
    with ThreadPoolExecutor(threads) as pool:
        for some in pool.map(leaks_of, range(len(test))):
            leaks.extend(some)
            advance()
    return sorted(leaks, key=lambda leak: (leak.train, leak.test))


def expected_by_chance(inliers: int, pairs: int) -> float:
    """How many of `pairs` pictures of different things agree by so many inliers, and their thumbnails by 0.8.

    pairs 1.5e-6 0.01^(inliers - 4): an order of magnitude, from 766,000 such pairs.
    """
    return pairs * CHANCE_OF_MIN_INLIERS * CHANCE_PER_INLIER ** (inliers - MIN_LEAK_INLIERS)


def required_inliers(pairs: int) -> int:
    """The least inliers, four or more, by which a comparison of so many pairs expects under 0.05 false alarms."""
    check_count(pairs, 0, 10**15, "pairs")
    inliers = MIN_LEAK_INLIERS
    while expected_by_chance(inliers, pairs) > MAX_EXPECTED_FALSE_ALARMS:
        inliers += 1
    return inliers


def build_index(pictures: Sequence[Features]) -> Index:
    """Index of a collection of unpacked fingerprints."""
    counts = [len(features.places) for features in pictures]
    codes = np.concatenate([np.zeros((0, 4), np.uint64), *(features.codes for features in pictures)])
    places = np.concatenate([np.zeros((0, 4), np.float32), *(features.places for features in pictures)])
    keys = np.concatenate([np.zeros((0, TABLES), np.int32), *(_keys(features) for features in pictures)])
    starts = np.zeros((TABLES, BUCKETS + 1), np.int64)
    order = np.empty((TABLES, len(keys)), np.int32)
    for table in range(TABLES):
        order[table] = np.argsort(keys[:, table], kind="stable")
        starts[table, 1:] = np.cumsum(np.bincount(keys[:, table], minlength=BUCKETS))
    return Index(
        pictures=pictures,
        places=places,
        codes=codes,
        keys=keys,
        picture=np.repeat(np.arange(len(pictures), dtype=np.int32), counts),
        sides_px=np.array([longer_side(features) for features in pictures]),
        order=order,
        starts=starts,
    )


def candidates(index: Index, picture: Features, mirror: Features) -> list[int]:
    """Pictures of an index that share three features or more with `picture`, or with its mirror image `mirror`.

    The three are at places that fit one similarity.
    """
    found: set[int] = set()
    max_bucket = MAX_BUCKET_SHARE * (1 + len(index.codes) // BUCKETS)
    for features in (picture, mirror):
        hits = _hits(
            features.codes,
            _keys(features),
            index.codes,
            index.keys,
            index.picture,
            index.order,
            index.starts,
            max_bucket,
        )
        hits = hits[np.argsort(hits[:, 0], kind="stable")]
        agreeing = _agreeing(hits, features.places, index.places, longer_side(features), index.sides_px)
        found.update(agreeing.tolist())
    return sorted(found)


def _keys(features: Features) -> Int32[np.ndarray, "n tables"]:
    """Key of every feature in every table: 16 of the bits about the median, and whether it is of colour."""
    bits = np.unpackbits(features.codes.view(np.uint8), axis=1)[:, :128].astype(np.int32)
    chosen = (BIT_STRIDE * (np.arange(TABLES)[:, None] * (128 // TABLES) + np.arange(KEY_BITS))) % 128
    colour = (np.arange(len(bits)) >= features.grey_count).astype(np.int32)
    return bits[:, chosen] @ (1 << np.arange(KEY_BITS, dtype=np.int32)) + (colour[:, None] << KEY_BITS)


@njit(cache=True, nogil=True)
def _hits(
    codes: np.ndarray,
    keys: np.ndarray,
    index_codes: np.ndarray,
    index_keys: np.ndarray,
    index_picture: np.ndarray,
    order: np.ndarray,
    starts: np.ndarray,
    max_bucket: int,
) -> np.ndarray:
    """(picture, feature of the index, feature asked for) of features that share a key and are near; each pair once."""
    hits = np.empty((1024, 3), np.int32)
    count = 0
    for i in range(len(codes)):
        for table in range(TABLES):
            first, last = starts[table, keys[i, table]], starts[table, keys[i, table] + 1]
            if last - first > max_bucket:
                continue
            for j in order[table, first:last]:
                if distance_bits(codes[i], index_codes[j]) > INDEX_DISTANCE_BITS:
                    continue
                if _met_before(keys[i], index_keys[j], table):
                    continue
                if count == len(hits):
                    hits = np.concatenate((hits, np.empty_like(hits)))
                hits[count, 0], hits[count, 1], hits[count, 2] = index_picture[j], j, i
                count += 1
    return hits[:count]


@njit(cache=True, nogil=True)
def _met_before(keys: np.ndarray, index_keys: np.ndarray, table: int) -> bool:
    """Do two features share a key of an earlier table?"""
    return bool((keys[:table] == index_keys[:table]).any())


@njit(cache=True, nogil=True)
def _agreeing(
    hits: np.ndarray, places: np.ndarray, index_places: np.ndarray, side_px: float, sides_px: np.ndarray
) -> np.ndarray:
    """Pictures whose hits, sorted by picture, hold enough that agree on one similarity."""
    found = np.empty(len(hits), np.int32)
    count = first = 0
    while first < len(hits):
        last = first
        while last < len(hits) and hits[last, 0] == hits[first, 0]:
            last += 1
        if last - first >= MIN_INLIERS:
            p, q = index_places[hits[first:last, 1]], places[hits[first:last, 2]]
            inliers, _ = consensus(p, q, sides_px[hits[first, 0]], side_px, MIN_INLIERS)
            if inliers >= MIN_INLIERS:
                found[count] = hits[first, 0]
                count += 1
        first = last
    return found[:count]
