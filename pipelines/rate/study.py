"""What raters compare, and in which order: a plan that follows from the study and a rater's name."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Int

from rainsynth.checks import InputError, check_count, check_number, one_line
from rainsynth.seeding import sample_rng

PLAN_STREAM = 20  # stream of rainsynth.seeding: order, sides, checks and repeats of one rater
PAIR, ATTENTION, REPEAT = "pair", "attention", "repeat"
LEFT, RIGHT, TIE = "left", "right", "tie"
MOST_QUESTION_LETTERS = 200
MOST_NAME_LETTERS = 40
SIGNS_IN_NAMES = " .@'_-"  # beside letters and digits: nothing that a spreadsheet, page or terminal takes for its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All that a plan follows from, and by what a study is known again when it goes on.

    comparisons                            of each rater, checks and repeats not counted; None for all
    attention_fraction, repeat_fraction    checks, and repeats, as parts of those comparisons
    reference                              whether each picture has a reference, such as the rainy one
    pictures_sha256                        over all files
    """

    methods: tuple[str, ...]
    pictures: tuple[str, ...]
    seed: int = 0
    comparisons: int | None = None
    attention_fraction: float = 0.05
    repeat_fraction: float = 0.05
    question: str = "Which picture is better?"
    reference: bool = False
    pictures_sha256: str = ""

    def __post_init__(self) -> None:
        check_count(self.seed, 0, 2**63 - 1, "--seed")
        if self.comparisons is not None:
            check_count(self.comparisons, 1, self.all_comparisons, "--comparisons", "Fewer methods or more pictures?")
        check_number(self.attention_fraction, 0, 0.5, "--attention-checks", "It is a fraction: 0.05 is 5 %.")
        check_number(self.repeat_fraction, 0, 0.5, "--repeats", "It is a fraction: 0.05 is 5 %.")
        if not 1 <= len(self.question) <= MOST_QUESTION_LETTERS:
            raise InputError(
                one_line(f"--question must have 1 to {MOST_QUESTION_LETTERS} letters, got {len(self.question)}.")
            )

    @property
    def all_comparisons(self) -> int:
        """Number of comparisons there are: every pair of methods on every picture."""
        return math.comb(len(self.methods), 2) * len(self.pictures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One question to a rater, by indices into the study's methods and pictures.

    worse   the side whose picture is spoilt, LEFT or RIGHT, in an attention check; "" otherwise
    """

    kind: str
    picture: int
    left: int
    right: int
    worse: str = ""


def rater_name(typed: str) -> str:
    """A rater's name as it is stored: capitals, and how many spaces there are, make no difference."""
    name = " ".join(unicodedata.normalize("NFC", typed).casefold().split())
    plain = all(letter in SIGNS_IN_NAMES or unicodedata.category(letter)[0] in "LMN" for letter in name)
    if not (plain and 1 <= len(name) <= MOST_NAME_LETTERS and name[0].isalnum()):
        raise InputError(
            f"a name must have 1 to {MOST_NAME_LETTERS} letters, digits, spaces and .@'_-, the first a letter or digit."
        )
    return name


def plan_of(study: Study, rater: str) -> tuple[Comparison, ...]:
    """Everything one rater is asked, in order: a function of the study and the rater's name.

    However far a rater gets, pairs of methods have come up equally often, and so have pictures (+- 1): see
    `balanced_cells`. Of each pair, each method is on the left in half of all its pictures, in random order. A repeat
    shows a comparison again half the plan later with its sides swapped; attention checks stand one in each of as many
    stretches of the plan, at a random place.
    """
    index = int.from_bytes(hashlib.sha256(rater.encode()).digest()[:8], "big") >> 1  # 63 bits
    rng = sample_rng(study.seed, index, PLAN_STREAM)
    asked = _pairs(study, rng)[: study.comparisons]
    repeats = _repeats(asked, round(study.repeat_fraction * len(asked)), rng)
    checks = _attention_checks(study, len(asked), round(study.attention_fraction * len(asked)), rng)
    placed = [*((float(place), one) for place, one in enumerate(asked)), *repeats, *checks]
    return tuple(comparison for _, comparison in sorted(placed, key=lambda pair: pair[0]))


def _pairs(study: Study, rng: np.random.Generator) -> list[Comparison]:
    """All comparisons of two methods, in a balanced order, pairs and pictures numbered at random."""
    pairs = rng.permutation(list(combinations(range(len(study.methods)), 2)))
    pictures = rng.permutation(len(study.pictures))
    swapped = [rng.permutation(np.arange(len(pictures)) % 2) for _ in pairs]
    asked = []
    for place, (pair, picture) in enumerate(balanced_cells(len(pairs), len(pictures))):
        first, second = pairs[pair][::-1] if swapped[pair][place // len(pairs)] else pairs[pair]
        asked.append(Comparison(kind=PAIR, picture=int(pictures[picture]), left=int(first), right=int(second)))
    return asked


def balanced_cells(pairs: int, pictures: int) -> Int[np.ndarray, "n 2"]:
    """Every (pair, picture) once, so that in any beginning pairs come equally often (+- 1), and so do pictures.

    Cell t is (t mod K, (t + floor(t / L)) mod P) with K pairs, P pictures, L = lcm(K, P): both run through their values
    again and again, and a shift by one after every L cells brings the combinations that have not been.
    """
    place = np.arange(pairs * pictures)
    return np.stack([place % pairs, (place + place // math.lcm(pairs, pictures)) % pictures], axis=-1)


def _repeats(asked: list[Comparison], count: int, rng: np.random.Generator) -> list[tuple[float, Comparison]]:
    half = len(asked) // 2
    chosen = rng.choice(half, min(count, half), replace=False) if half else ()
    return [
        (
            place + half + 0.25,
            Comparison(kind=REPEAT, picture=asked[place].picture, left=asked[place].right, right=asked[place].left),
        )
        for place in map(int, chosen)
    ]


def _attention_checks(study: Study, asked: int, count: int, rng: np.random.Generator) -> list[tuple[float, Comparison]]:
    checks = []
    for number in range(count):
        place = (number + rng.random()) * asked / count
        method, picture = int(rng.integers(len(study.methods))), int(rng.integers(len(study.pictures)))
        worse = (LEFT, RIGHT)[rng.integers(2)]
        checks.append((place, Comparison(kind=ATTENTION, picture=picture, left=method, right=method, worse=worse)))
    return checks
