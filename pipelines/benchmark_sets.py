"""The field's sets of pairs by name: how many pairs, in which layouts, and how near their rainy pictures come.

Names stay while contents change: authors replace pairs, copies lose some. So every set carries what tells its versions
apart, the number of pairs and the mean PSNR-Y and SSIM-Y of its rainy pictures (`metrics.psnr_y`, `metrics.ssim_y`),
and `version_remark` says in a sentence where a folder is none of what is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rainsynth.checks import InputError

COPIES = ("input-target", "basicsr", "rain-norain", "rain-norain-equal")  # layouts in which copies of any set come
RAIN100 = ("prenet-test", "prenet", "jorder")
# How far the same pictures may be from a known figure: decoders and rounding of what is told; for published figures
# also the variant that a script counts (docs/metrics.md).
MEASURED_WITHIN = (0.05, 0.005)  # dB, SSIM
PUBLISHED_WITHIN = (0.2, 0.02)
PART_WITHIN_DB = 2.0  # of the whole set's mean PSNR: 40 pairs of Rain100H are 0.15 dB off, other sets 3 dB and more


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSet:
    """A set of pairs as it is known.

    `input_psnr_y_db` and `input_ssim_y` are means over pairs of the rainy pictures, `measured` by this project or
    published in `source`. `others` says of numbers of pairs what they are; `strays` are pictures of the authors'
    archive, paths without suffix, that have no partner.
    """

    title: str
    pairs: int | None
    layouts: tuple[str, ...]
    source: str
    input_psnr_y_db: float | None = None
    input_ssim_y: float | None = None
    measured: bool = False
    others: dict[int, str] = field(default_factory=dict)
    strays: tuple[str, ...] = ()

    @property
    def all_layouts(self) -> tuple[str, ...]:
        """The authors' own layouts, then those of copies."""
        return tuple(dict.fromkeys((*self.layouts, *COPIES)))

    def has_figures(self, psnr_y_db: float, ssim_y: float) -> bool:
        """Whether the figures are this set's, as near as they can be known."""
        if self.input_psnr_y_db is None or self.input_ssim_y is None:
            return False
        within_db, within = MEASURED_WITHIN if self.measured else PUBLISHED_WITHIN
        return abs(psnr_y_db - self.input_psnr_y_db) <= within_db and abs(ssim_y - self.input_ssim_y) <= within


YANG = "Yang et al. (2017), arXiv:1609.07769"
YANG_FIRST = f"{YANG}, in the version that PReNet's authors hand on"
YANG_LATER = f"{YANG}, its authors' later version"
FU = "Fu et al. (2017), doi:10.1109/CVPR.2017.186"
ZHANG_800 = "Zhang, Sindagi & Patel (2017), arXiv:1701.05957"
ZHANG_1200 = "Zhang & Patel (2018), arXiv:1802.07412"
QUAN = "Quan et al. (2021), CVPR"
QIAN = "Qian et al. (2018), arXiv:1711.10098"
RCDNET = "input figures: Wang et al. (2020), arXiv:2005.01333"
TABLES = "input figures: as tables of later papers have them"

RAIN800 = BenchmarkSet(
    title="Rain800",
    pairs=100,
    layouts=("clean-rainy",),
    source=f"{ZHANG_800}, test_syn; {TABLES} for Test100",
    input_psnr_y_db=22.55,
    input_ssim_y=0.686,
    others={98: "Test100 of MSPFN and MPRNet leaves two pairs out", 700: "its training part holds 700"},
)
RAIN1200 = BenchmarkSet(
    title="Rain1200",
    pairs=1200,
    layouts=("rainy-clean",),
    source=f"{ZHANG_1200}, TestA; {TABLES}",
    input_psnr_y_db=23.64,
    input_ssim_y=0.732,
    others={1000: "TestB, of DDN's photographs, holds 1000", 4000: "each density of its training part holds 4000"},
)
RAIN1400 = BenchmarkSet(
    title="Rain1400",
    pairs=1400,
    layouts=("ddn",),
    source=f"{FU}, testing; {RCDNET}",
    input_psnr_y_db=25.24,
    input_ssim_y=0.8097,
    others={12600: "its training part, Rain12600, holds 12600", 2800: "Test2800 holds 2800 of the same pairs"},
)
RAINDS_SYN = BenchmarkSet(title="RainDS_syn", pairs=200, layouts=(), source=QUAN, others={1000: "train_set"})
RAINDS_REAL = BenchmarkSet(title="RainDS_real", pairs=98, layouts=(), source=QUAN, others={150: "train_set"})

SETS = {
    "rain100l": BenchmarkSet(
        title="Rain100L",
        pairs=100,
        layouts=RAIN100,
        source=YANG_FIRST,
        input_psnr_y_db=26.90,
        input_ssim_y=0.838,
        measured=True,
        others={200: "the authors' later version, Rain200L, or the training set RainTrainL, holds 200"},
    ),
    "rain100h": BenchmarkSet(
        title="Rain100H",
        pairs=100,
        layouts=RAIN100,
        source=YANG_FIRST,
        input_psnr_y_db=13.551,
        input_ssim_y=0.3786,
        measured=True,
        others={
            200: "the authors' later version, Rain200H, holds 200",
            1800: "the training set RainTrainH holds 1800",
            1254: "RainTrainH without the 546 photographs of the test set holds 1254",
        },
    ),
    "rain200l": BenchmarkSet(title="Rain200L", pairs=200, layouts=RAIN100, source=YANG_LATER),
    "rain200h": BenchmarkSet(title="Rain200H", pairs=200, layouts=RAIN100, source=YANG_LATER),
    "rain12": BenchmarkSet(
        title="Rain12",
        pairs=12,
        layouts=("rain12", "rain12-prenet"),
        source=f"Li et al. (2016), doi:10.1109/CVPR.2016.299; {RCDNET}",
        input_psnr_y_db=30.14,
        input_ssim_y=0.8555,
    ),
    "rain800": RAIN800,
    "test100": replace(RAIN800, title="Test100", pairs=98, others={100: "Rain800's test_syn holds 100"}),
    "rain1200": RAIN1200,
    "test1200": replace(RAIN1200, title="Test1200"),
    "rain1400": RAIN1400,
    "rain12600": BenchmarkSet(
        title="Rain12600",
        pairs=12600,
        layouts=("ddn",),
        source=f"{FU}, training",
        others={1400: "the test part, Rain1400, holds 1400", 9100: "the authors' first version held 9100"},
    ),
    "test2800": BenchmarkSet(
        title="Test2800",
        pairs=2800,
        layouts=("input-target",),
        source=f"Jiang et al. (2020), arXiv:2003.10985: photographs 801 to 1000 of {FU}; {TABLES}",
        input_psnr_y_db=24.37,
        input_ssim_y=0.783,
        others={1400: "Rain1400 holds 1400 of the same pairs"},
        strays=("input/926_10(1)",),
    ),
    "spa-data": BenchmarkSet(
        title="SPA-Data",
        pairs=1000,
        layouts=("spa",),
        source=f"Wang et al. (2019), arXiv:1904.01538, real_test_1000; {RCDNET}",
        input_psnr_y_db=34.15,
        input_ssim_y=0.9269,
    ),
    "rainds-syn-streaks": replace(RAINDS_SYN, title="RainDS_syn, streaks", layouts=("rainds-streaks",)),
    "rainds-syn-drops": replace(RAINDS_SYN, title="RainDS_syn, drops", layouts=("rainds-drops",)),
    "rainds-syn-both": replace(RAINDS_SYN, title="RainDS_syn, both", layouts=("rainds-both",)),
    "rainds-real-streaks": replace(
        RAINDS_REAL, title="RainDS_real, streaks", layouts=("rainds-real-streaks",), strays=("rainstreak/IMG_7435",)
    ),
    "rainds-real-drops": replace(RAINDS_REAL, title="RainDS_real, drops", layouts=("rainds-real-drops",)),
    "rainds-real-both": replace(RAINDS_REAL, title="RainDS_real, both", layouts=("rainds-real-both",)),
    "raindrop-a": BenchmarkSet(
        title="Raindrop, test_a",
        pairs=58,
        layouts=("raindrop",),
        source=QIAN,
        others={249: "test_b holds 249, of which some are not aligned", 861: "its training part holds 861"},
    ),
    "raindrop-b": BenchmarkSet(
        title="Raindrop, test_b", pairs=249, layouts=("raindrop",), source=QIAN, others={58: "test_a holds 58"}
    ),
    "pairs": BenchmarkSet(title="a folder of pairs", pairs=None, layouts=(), source="any other folder"),
}


def set_named(name: str) -> BenchmarkSet:
    """The set of this name, however it is capitalised and joined; InputError for one that is not known."""
    plain = {_plain(known): one for known, one in SETS.items()}
    if _plain(name) not in plain:
        raise InputError(f"set name must be one of {', '.join(SETS)}, got {name!r}. Any other folder is 'pairs'.")
    return plain[_plain(name)]


def version_remark(benchmark: BenchmarkSet, pairs: int, psnr_y_db: float, ssim_y: float) -> str:
    """What makes a folder another version of the set, in one sentence; "" where its number and figures are the set's.

    `psnr_y_db` and `ssim_y` are means over all its pairs, rainy picture against target. A set whose figures nobody
    knows is told by its number alone.
    """
    if benchmark.pairs is None:
        return ""
    unlike = benchmark.input_psnr_y_db is not None and not benchmark.has_figures(psnr_y_db, ssim_y)
    if pairs == benchmark.pairs and not unlike:
        return ""
    found = f"this folder has {pairs} pairs at {psnr_y_db:.2f} / {ssim_y:.3f}"
    return f"{benchmark.title} holds {_known(benchmark)}; {found}: {_guess(benchmark, pairs, psnr_y_db, ssim_y)}"


def _known(benchmark: BenchmarkSet) -> str:
    if benchmark.input_psnr_y_db is None:
        return f"{benchmark.pairs} pairs"
    by = "" if benchmark.measured else " as published"
    figures = f"{benchmark.input_psnr_y_db:.2f} dB / {benchmark.input_ssim_y:.3f}"
    return f"{benchmark.pairs} pairs with input PSNR {figures}{by}"


def _guess(benchmark: BenchmarkSet, pairs: int, psnr_y_db: float, ssim_y: float) -> str:
    known = [one for one in SETS.values() if one.input_psnr_y_db is not None and one.title != benchmark.title]
    for one in known:
        if one.pairs == pairs and one.has_figures(psnr_y_db, ssim_y):
            return f"it looks like {one.title}"
    if pairs in benchmark.others:
        return f"another version or part ({benchmark.others[pairs]})"
    if benchmark.input_psnr_y_db is not None and abs(psnr_y_db - benchmark.input_psnr_y_db) > PART_WITHIN_DB:
        return "another set or version" + _nearest(known, psnr_y_db)
    if benchmark.pairs is not None and pairs < benchmark.pairs:
        return "a part of it or another version"
    return "another version" + (", or more than its test pairs" if pairs != benchmark.pairs else "")


def _nearest(known: list[BenchmarkSet], psnr_y_db: float) -> str:
    """Whose PSNR is near, where any is."""
    near = [one.title for one in known if abs(psnr_y_db - (one.input_psnr_y_db or 0)) <= PART_WITHIN_DB / 4]
    return f", with rain as strong as that of {' or '.join(near)}" if near else ""


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
