"""Rain on photographs, rendered when a window is asked for: a set of pairs without end, of which nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt16

from mspfn.pair_source import SRGB8
from mspfn.picture_cache import CACHE_BYTES, PictureCache
from rainsynth import Background, RainSample
from rainsynth.named_rain import render_preset
from rainsynth.pictures import list_photos, photo_size_px, read_photo
from rainsynth.preset_choice import PresetChoice

PLANNED_SAMPLES = 10_000  # enough that rates lie densely; every window of a sample has drops of its own
TABLE_KEY = (0, 0)  # plans are drawn by three numbers, windows rendered by six, batches drawn by one and two

Size = tuple[int, int]  # height and width


class RenderedPair:
    """A window of a photograph in the rain of one sample, (H, W, 3) uint8; rendered when first looked at."""

    def __init__(self, pairs: RenderedPairs, index: int, top: int, left: int, size: Size) -> None:
        self._pairs, self._index, self._top, self._left, self._size = pairs, index, top, left, size

    @property
    def clean_srgb8(self) -> SRGB8:
        """The window of the photograph."""
        photo_srgb8 = self._background.image_srgb8
        return photo_srgb8[self._top : self._top + self._size[0], self._left : self._left + self._size[1]]

    @property
    def rainy_srgb8(self) -> SRGB8:
        """The window in rain."""
        return self._sample.rainy_srgb8

    @property
    def veiled_srgb8(self) -> SRGB8:
        """The window without streaks, but with the veil."""
        return self._sample.veiled_srgb8

    @property
    def streak_alpha16(self) -> UInt16[np.ndarray, "h w"]:
        """Part of the exposure for which a drop covers each pixel of the window, in steps of 1/65535."""
        return self._sample.streak_alpha16

    @cached_property
    def _background(self) -> Background:
        return self._pairs.background(self._index)

    @cached_property
    def _sample(self) -> RainSample:
        return self._pairs.render(self._background, self._index, self._top, self._left, self._size)


class RenderedPairs:
    """A plan of samples over a folder of photographs: len(), [i], .crop(i, top, left, size), .table.

    A sample is a photograph, a preset or lines, and a rain rate, drawn once from `seed`: photographs in rounds, presets
    by their weights, rates uniformly in their logarithm. All else - drops, wind, exposure, the lines of a look-alike -
    is drawn anew for every window, from (seed, sample, place), so that samples never run out and a sample is more than
    one picture. A window is a window of its photograph's camera. Depth is the level ground of rainsynth.Background.

    The columns of `table` are name, preset (PresetChoice.label), height_px, width_px and rain_rate_mm_h, NaN for
    look-alikes and lines. `samples` is raised to the number of photographs. `stream` tells sources of one seed apart.
    Photographs are kept decoded up to `cache_bytes`; scale large ones down beforehand, to what a network will see.
    """

    def __init__(
        self,
        photographs: Path | str,
        presets: Sequence[PresetChoice],
        *,
        seed: int,
        stream: int = 0,
        samples: int = PLANNED_SAMPLES,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.path, self.presets, self.seed, self.stream = Path(photographs), tuple(presets), seed, stream
        self.photographs = list_photos(self.path)
        self._backgrounds = PictureCache(read_background, bytes_of, cache_bytes)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream, *TABLE_KEY)))
        samples = max(samples, len(self.photographs))
        self._photograph = in_rounds(len(self.photographs), samples, rng)
        self._choice = by_weight([choice.weight for choice in self.presets], samples, rng)
        self._families = [choice.family for choice in self.presets]
        self.table = self._table(self._choice, rng.random(samples))

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> RenderedPair:
        row = self.table[index]
        return RenderedPair(self, index, 0, 0, (int(row["height_px"]), int(row["width_px"])))

    def crop(self, index: int, top: int, left: int, size: int) -> RenderedPair:
        """A window of `size` x `size` pixels of a sample."""
        return RenderedPair(self, index, top, left, (size, size))

    def background(self, index: int) -> Background:
        """The photograph of a sample."""
        return self._backgrounds[self.photographs[self._photograph[index]]]

    def render(self, background: Background, index: int, top: int, left: int, size: Size) -> RainSample:
        """Rain over a window of a sample: a function of the arguments and the seed.

        `background` is the sample's, which whoever asks has at hand: it may not be kept.
        """
        place = np.random.SeedSequence(self.seed, spawn_key=(self.stream, index, top, left, *size))
        own_seed, own_index = (int(word >> np.uint64(1)) for word in place.generate_state(2, np.uint64))  # 63 bits
        row = self.table[index]
        known = not np.isnan(row["rain_rate_mm_h"])
        options: dict[str, Any] = {"rain_rate_mm_h": float(row["rain_rate_mm_h"])} if known else {}
        options |= {"name": row["preset"].decode(), "seed": own_seed, "index": own_index}
        return render_preset(background, self._families[self._choice[index]], window=(top, left, *size), **options)

    def _table(self, choice: Int[np.ndarray, "n"], place: Float[np.ndarray, "n"]) -> np.ndarray:
        """Samples of these parts of the mixture, at these places from 0 to 1 between their lowest and highest rates."""
        names = [path.relative_to(self.path).as_posix().encode() for path in self.photographs]
        labels = [part.label.encode() for part in self.presets]
        low_mm_h, high_mm_h = np.array([part.range_mm_h for part in self.presets]).T[:, choice]
        columns = {
            "name": np.array(names)[self._photograph],
            "preset": np.array(labels)[choice],
            "rain_rate_mm_h": np.clip(low_mm_h * (high_mm_h / low_mm_h) ** place, low_mm_h, high_mm_h),
        }
        sizes = np.array([photo_size_px(path) for path in self.photographs])[self._photograph]
        columns |= {"height_px": sizes[:, 0], "width_px": sizes[:, 1]}
        table = np.empty(len(choice), dtype=[(name, values.dtype) for name, values in columns.items()])
        for name, values in columns.items():
            table[name] = values
        return table


def in_rounds(count: int, samples: int, rng: np.random.Generator) -> Int[np.ndarray, "samples"]:
    """Numbers below `count`, each once in every round, every round in an order of its own."""
    return np.concatenate([rng.permutation(count) for _ in range(-(-samples // count))])[:samples]


def by_weight(weights: Sequence[float], samples: int, rng: np.random.Generator) -> Int[np.ndarray, "samples"]:
    """Numbers of weights, in an order by chance, each as often as its share of `samples` to within one."""
    upto = np.cumsum(weights)
    places = (rng.permutation(samples) + 0.5) / samples * upto[-1]
    return np.minimum(np.searchsorted(upto, places, side="right"), len(upto) - 1)


def read_background(path: Path) -> Background:
    """A photograph, with what is computed from it kept."""
    return Background(read_photo(path))


def bytes_of(background: Background) -> int:
    """Memory that a decoded photograph takes."""
    return background.image_srgb8.nbytes
