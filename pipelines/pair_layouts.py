"""Where trainers look for pairs of pictures, and the pairs of such a folder.

- Restormer, MPRNet and what follows them (Rain13K): input/NAME.png, target/NAME.png.
- BasicSR's PairedImageDataset: folders `dataroot_lq` and `dataroot_gt` with equal names, here lq/ and gt/, and a
  `meta_info_file` with a line "NAME.png (H,W,3)" for each.
- PReNet's prepare_data_RainTrainH: rain-N.png and norain-N.png in one folder, N from 1; it looks for the first 1800.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rainsynth.checks import InputError
from rainsynth.pictures import PHOTO_SUFFIXES, photo_size_px


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of a pair inside a folder: what stands before and after its name."""

    rainy: tuple[str, str]
    target: tuple[str, str]
    numbered: bool = False
    most: int = 0  # pairs that its reader looks for; 0 for all

    def paths(self, name: str) -> tuple[str, str]:
        """Paths of the rainy picture and its target."""
        return tuple(name.join(ends) for ends in (self.rainy, self.target))  # type: ignore[return-value]


LAYOUTS = {
    "input-target": Layout(("input/", ".png"), ("target/", ".png")),
    "basicsr": Layout(("lq/", ".png"), ("gt/", ".png")),
    "prenet": Layout(("rain-", ".png"), ("norain-", ".png"), numbered=True, most=1800),
}


@dataclass(frozen=True, slots=True)
class PairFiles:
    """Two pictures of a folder that belong together."""

    name: str
    rainy: Path
    target: Path
    height_px: int
    width_px: int


def find_pairs(folder: Path, layout: Layout) -> list[PairFiles]:
    """Pairs of a folder in the order of their names; numbers count as numbers."""
    found = [pictures_by_name(folder, ends[0]) for ends in (layout.rainy, layout.target)]
    lonely = sorted(set(found[0]) ^ set(found[1]))
    if lonely:
        has, lacks = (layout.rainy, layout.target) if lonely[0] in found[0] else (layout.target, layout.rainy)
        raise InputError(
            f"{folder} must hold pairs, got {lonely[0].join((has[0], ''))} without {lonely[0].join((lacks[0], ''))}"
            f" ({len(lonely)} such). Names must be equal."
        )
    if not found[0]:
        raise InputError(f"{folder} must hold pairs {layout.rainy[0]}NAME and {layout.target[0]}NAME, got none.")
    order = sorted(found[0], key=lambda name: (int(name), name) if layout.numbered and name.isdigit() else (0, name))
    return [_pair(name, found[0][name], found[1][name]) for name in order]


def _pair(name: str, rainy: Path, target: Path) -> PairFiles:
    sizes = photo_size_px(rainy), photo_size_px(target)
    if sizes[0] != sizes[1]:
        told = " and ".join(f"{width}x{height} px" for height, width in sizes)
        raise InputError(f"{rainy} must have the size of {target}, got {told}.")
    return PairFiles(name, rainy, target, *sizes[0])


def pictures_by_name(folder: Path, before: str) -> dict[str, Path]:
    """Pictures whose path in `folder` begins with `before`, by what follows it without the suffix.

    Raises InputError for a folder that is not there, and for two pictures of one name.
    """
    if not folder.is_dir():
        raise InputError(f"pairs must be in a folder, got {str(folder)!r}. Does it exist?")
    base = folder / before if before.endswith("/") else folder
    prefix = "" if before.endswith("/") else before
    found: dict[str, Path] = {}
    for path in sorted(base.rglob("*") if not prefix else base.glob(f"{prefix}*")):
        if path.suffix.lower() not in PHOTO_SUFFIXES or not path.is_file() or path.name.startswith("."):
            continue
        name = path.relative_to(base).with_suffix("").as_posix().removeprefix(prefix)
        if name in found:
            raise InputError(f"{path} must be the only picture of its name, got {found[name].name} beside it.")
        found[name] = path
    return found


def layout_of(folder: Path) -> str:
    """Name of the layout that a folder has; InputError where it has none."""
    for name, layout in LAYOUTS.items():
        begins = (layout.rainy[0], layout.target[0])
        if all((folder / begin).is_dir() if begin.endswith("/") else any(folder.glob(f"{begin}*")) for begin in begins):
            return name
    raise InputError(
        f"{folder} must hold input/ and target/, lq/ and gt/, or rain-N.png and norain-N.png. --layout names one."
    )
