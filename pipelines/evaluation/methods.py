"""Methods side by side: networks by their weights, and pictures that anyone derained, in folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.benchmark_pairs import opaque_size_px
from pipelines.evaluation.pairs import Picture, Pictures
from pipelines.pair_layouts import list_pictures
from rainsynth.checks import InputError

VIEWS = ("mirrored", "shifted")  # options of derain that methods of their own may have
RUN_WEIGHTS = "weights"  # name of the file that a training run writes: its folder tells more


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Method:
    """What derains: a network, as the function `restore`; or nothing more than its results, a file for each picture."""

    name: str
    restore: Callable[[Picture], Picture] | None = None
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """A file or folder by the name that tables give it."""

    name: str
    path: str


def networks(given: Sequence[str], views: Sequence[str] = ()) -> list[Method]:
    """A method for each file of weights, bundled name, or NAME=FILE; PyTorch is loaded for these alone.

    With `views`, of VIEWS, another for each: the mean over these, as `mspfn.inference.derain` has it.
    """
    if not given:
        return []
    from mspfn.checkpoint import load_weights
    from mspfn.inference import derain

    def methods(one: Named) -> list[Method]:
        network = load_weights(one.path)
        plain = Method(name=one.name, restore=lambda rainy: derain(rainy, network))
        if not views:
            return [plain]
        mirrored, shifted = (view in views for view in VIEWS)
        seen = Method(
            name=f"{one.name}, {' and '.join(views)}",
            restore=lambda rainy: derain(rainy, network, mirrored=mirrored, shifted=shifted),
        )
        return [plain, seen]

    return [method for text in given for method in methods(weights_named(text))]


def results(given: Sequence[str], pictures: Pictures) -> list[Method]:
    """A method for each NAME=DIR, a folder with a result for every picture. Raises InputError that names the file."""
    methods = []
    for text in given:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise InputError(f"--results must be NAME=DIR, got {text!r}.")
        methods.append(Method(name=name, files=tuple(result_files(Path(folder), pictures))))
    return methods


def check_names(methods: Sequence[Method]) -> None:
    """Raise InputError unless there is a method, and all have names of their own."""
    if not methods:
        raise InputError("evaluate must have --weights or --results NAME=DIR, got neither.")
    name, times = Counter(method.name for method in methods).most_common(1)[0]
    if times > 1:
        raise InputError(f"names of methods must differ, got {name!r} twice. --weights NAME=FILE gives another.")


def weights_named(text: str) -> Named:
    """NAME=FILE, or a file that gives its own name or, where it is RUN/weights.pt, that of its folder."""
    name, equals, path = text.partition("=")
    if name and equals and path and not Path(text).exists():
        return Named(name, path)
    file = Path(text)
    return Named(file.parent.name if file.stem == RUN_WEIGHTS and file.parent.name else file.stem, text)


def result_files(folder: Path, pictures: Pictures) -> list[Path]:
    """The result of every picture: the file of its name, or of another that the picture goes by.

    All pictures go by the same kind of name. Raises InputError for a picture without result and for a result of another
    size, deeper than 8 bit or transparent.
    """
    found: dict[str, Path] = {}
    for path in list_pictures(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise InputError(f"{path} must be the only result of its name, got {found[stem].name} beside it.")
        found[stem] = path
    kinds = [[_kind(names, kind) for names in pictures.aliases] for kind in range(max(map(len, pictures.aliases)))]
    best = max(kinds, key=lambda names: sum(name in found for name in names) if len({*names}) == len(names) else -1)
    lacking = [name for name in best if name not in found]
    if lacking:
        raise InputError(
            f"{folder} must hold a result for each of {len(best)} pictures, got none for {lacking[0]} "
            f"({len(lacking)} such). Results have their rainy picture's name."
        )
    files = [found[name] for name in best]
    for path, size_px in zip(files, pictures.sizes_px, strict=True):
        _check_size(path, size_px)
    return files


def _kind(names: tuple[str, ...], kind: int) -> str:
    return names[min(kind, len(names) - 1)]


def _check_size(path: Path, size_px: tuple[int, int]) -> None:
    found_px = opaque_size_px(path)
    if found_px != size_px:
        raise InputError(
            f"{path} must have the size of its rainy picture, {size_px[1]}x{size_px[0]} px, "
            f"got {found_px[1]}x{found_px[0]} px."
        )
