"""The plan of a data set: what each sample shows and where it lies follow from (config, index) alone."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from pipelines import plan as planning
from pipelines.generate_config import GenerateConfig, PhotographsConfig, RatesConfig, read_shares
from pipelines.photographs import Photograph
from pipelines.plan import parts_of, photograph_of, plan, rain_of
from rainsynth.checks import InputError
from rainsynth.preset_choice import PresetChoice
from rainsynth.seeding import MIXTURE_STREAM, sample_rng

SPLIT = {"train": 0.8, "val": 0.1, "test": 0.1}
LADDER = tuple(PresetChoice(preset=name) for name in ("light", "moderate", "heavy", "violent"))
RATES = RatesConfig(edges_mm_h=(0.5, 2.5, 10.0, 50.0, 150.0), shares=(0.4, 0.3, 0.2, 0.1))


def photographs(count: int) -> list[Photograph]:
    """Photographs of two sizes whose hashes are in an order by chance."""
    rng = np.random.default_rng(0)
    return [Photograph(f"{n}.png", (40, 60)[n % 2], 50, rng.bytes(32).hex()) for n in range(count)]


def config(**options: object) -> GenerateConfig:
    values: dict = {"samples": 100, "mixture": LADDER, "seed": 5, "samples_per_shard": 4}
    return GenerateConfig(data=PhotographsConfig(photographs="photos"), **(values | options))


def test_blocks_of_a_large_plan_hold_every_sample_once(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = photographs(7)
    monkeypatch.setattr(planning, "BLOCK_SAMPLES", 24)
    shards = plan(config(split=SPLIT | {"train": 0.6, "val": 0.3}), photos)
    tasks = list(shards)
    assert len(tasks) == len(shards) == sum(shards.shards_of_part.values())
    assert len({task.file for task in tasks}) == len(tasks)
    assert sorted(index for task in tasks for index in task.indices) == list(range(100))
    for task in tasks:
        shown = [photos[photograph_of(5, index, 7)] for index in task.indices]
        assert list(task.photographs) == shown
        assert len({photo.height_px for photo in shown}) == 1
        assert {shards.parts[photo.sha256] for photo in shown} == {task.file.split("/")[0]}


def test_a_plan_can_be_gone_through_again() -> None:
    shards = plan(config(), photographs(5))
    assert list(shards) == list(shards)


def test_names_of_shards_sort_in_their_order_beyond_a_hundred_thousand() -> None:
    files = [task.file for task in plan(config(samples=100_001, samples_per_shard=1), photographs(1000))]
    assert files == sorted(files)
    assert (files[0], files[-1]) == ("shard-000000.h5", "shard-100000.h5")


def test_a_split_has_its_shares_and_follows_from_contents_alone() -> None:
    photos = photographs(200)
    parts = parts_of(photos, SPLIT)
    assert Counter(parts.values()) == {"train": 160, "val": 20, "test": 20}
    renamed = [Photograph(f"other_{photo.name}", 10, 10, photo.sha256) for photo in reversed(photos)]
    assert parts_of(renamed, SPLIT) == parts
    assert parts_of([*photos, *renamed], SPLIT) == parts  # copies go where their originals are


def test_every_part_of_a_split_gets_a_photograph() -> None:
    assert Counter(parts_of(photographs(3), SPLIT).values()) == {"train": 1, "val": 1, "test": 1}
    assert Counter(parts_of(photographs(5), {"val": 0.01, "train": 0.99}).values()) == {"val": 1, "train": 4}
    with pytest.raises(InputError, match="photograph for each of train, val, test, got 2 different"):
        parts_of(photographs(2), SPLIT)


def test_rates_meet_their_shares_within_a_few_samples() -> None:
    chosen = config(rates=RATES)
    rates = np.array([drawn(chosen, index)[1] for index in range(2000)])
    held = np.stack([(rates >= low) & (rates < high) for low, high in pairwise(RATES.edges_mm_h)])
    wanted = np.outer(RATES.shares, np.arange(1, 2001))
    assert np.abs(held.cumsum(axis=1) - wanted).max() < 4  # at every number of samples, not only at the end


def test_a_rate_goes_to_a_preset_that_rains_it() -> None:
    chosen = config(rates=RATES, mixture=(*LADDER, PresetChoice(preset="windy", weight=3)))  # windy: 5 to 50 mm/h
    counts: Counter[str] = Counter()
    for index in range(3000):
        part, rate = drawn(chosen, index)
        assert part.range_mm_h[0] <= rate <= part.range_mm_h[1]
        if 10 < rate < 50:
            counts[part.preset] += 1
    assert counts["windy"] == pytest.approx(3 * counts["heavy"], rel=0.05)
    assert set(counts) == {"windy", "heavy"}


def drawn(chosen: GenerateConfig, index: int) -> tuple[PresetChoice, float]:
    part, rate = rain_of(chosen, index, sample_rng(chosen.seed, index, MIXTURE_STREAM))
    assert rate is not None
    return part, rate


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": {"train": 0.8, "val": 0.1}}, "split must sum to 1, got 0.8, 0.1: 0.9"),
        ({"split": {"train": 1.0, "val": 0.0}}, "split.val must be between 1e-06 and 1, got 0"),
        ({"split": {"../train": 1.0}}, r"split must name parts by small letters.*got '\.\./train'"),
        ({"split": {}}, "split must sum to 1"),
        ({"rates": (RATES.edges_mm_h[:3], RATES.shares)}, "rates.shares must be one fewer .* got 4 shares for 3 edges"),
        ({"rates": ((1.0, 1.0), (1.0,))}, "rates.edges_mm_h must be two or more rising numbers"),
        ({"rates": ((1.0, 9000.0), (1.0,))}, "rates.edges_mm_h must be between 0.001 and 500, got 9000"),
        ({"rates": ((1.0, 2.0, 3.0), (0.5, 0.6))}, "rates.shares must sum to 1"),
        ({"rates": ((0.1, 2.0), (1.0,))}, "rates.edges_mm_h must lie in the ranges of the mixture, got 0.1 to 2"),
        ({"rates": ((140.0, 160.0), (1.0,))}, "no part rains 150 mm/h and a little more"),
    ],
)
def test_a_wrong_split_or_histogram_is_refused_by_name(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        if "rates" in options:
            edges_mm_h, shares = options["rates"]
            options = {"rates": RatesConfig(edges_mm_h=edges_mm_h, shares=shares)}
        config(**options)


def test_a_split_is_read_from_a_line() -> None:
    assert read_shares("train=0.8, val=0.1,test=0.1") == SPLIT
    with pytest.raises(InputError, match=r"--split must be shares such as train=0\.8.*got 'train'"):
        read_shares("train")
