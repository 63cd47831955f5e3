"""Data flows one way: who may import whom, read from the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rainsynth

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rainsynth", "mspfn", "pipelines")

# Parts of rainsynth in the order in which data flows; each may import parts of earlier lines only.
FLOW = (
    ("checks", "first_use"),
    ("color", "layer_steps", "counters", "bands", "seeding", "pictures"),
    ("metrics", "fingerprint"),
    ("physics", "measure"),
    ("scene",),
    ("optics", "presets"),
    ("sensor",),
    ("compositing", "display_blend"),
    ("lookalikes",),
    ("sample",),
    ("render",),
    ("sequence", "named_rain", "preset_choice"),
    ("shards", "augment"),
)
RANK = {part: rank for rank, parts in enumerate(FLOW) for part in parts}
# Presets are numbers: beyond the flow they know the scene and the seeds, nothing else.
KNOWN_TO_PRESETS = {"checks", "seeding", "scene", "presets"}

# What rainsynth does without: all it needs is NumPy, SciPy, numba, OpenCV and Pillow.
NOT_IN_RAINSYNTH = {
    "albumentations", "dask", "distributed", "matplotlib", "mspfn", "pipelines", "pydantic", "rich", "torch", "typer",
    "yaml",
}  # fmt: skip
# A transform of albumentations declares its arguments as a pydantic model.
KNOWN_TO_AUGMENT = {"albumentations", "pydantic"}
KNOWN_TO_MSPFN = {
    "shards", "metrics", "render", "named_rain", "lookalikes", "presets", "preset_choice", "scene", "sample", "sensor",
    "checks", "pictures",
}  # fmt: skip
SRGB_CONSTANTS = {12.92, 1.055, 0.04045, 0.0031308}  # IEC 61966-2-1
HOMES_OF_SRGB = {"rainsynth/color.py"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> Iterator[str]:
    """Every dotted name that a module imports, at its top or inside a function; relative ones made absolute.

    `from a import b` gives "a.b", which may be a module or a name in one; so does `import a` for every `a.b` in use.
    """
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name not in PACKAGES)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in PACKAGES:
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += [node.module] if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


def parts_of_rainsynth(path: Path) -> set[str]:
    """Parts of rainsynth that a module imports; a name that the package hands on belongs to its home."""
    homes = rainsynth.HOMES | {"InputError": "rainsynth.checks"}
    dotted = {name for name in imports(path) if name.startswith("rainsynth.") and not name.startswith("rainsynth.__")}
    parts = {name.split(".")[1] for name in dotted}
    return {homes[part].split(".")[1] if part in homes else part for part in parts}


def test_there_is_something_to_check():
    assert len(modules("rainsynth")) > 15
    assert list(imports(ROOT / "rainsynth" / "render.py"))


@pytest.mark.parametrize("path", modules("rainsynth"), ids=name_of)
def test_rainsynth_does_without_the_heavy_packages(path):
    roots = {dotted.split(".")[0] for dotted in imports(path)}
    allowed = KNOWN_TO_AUGMENT if name_of(path) == "rainsynth/augment.py" else set()
    assert not roots & (NOT_IN_RAINSYNTH - allowed)


def test_only_augment_knows_albumentations():
    knowing = {
        name_of(path)
        for package in PACKAGES
        for path in modules(package)
        if "albumentations" in {dotted.split(".")[0] for dotted in imports(path)}
    }
    assert knowing == {"rainsynth/augment.py"}


@pytest.mark.parametrize("path", [p for package in PACKAGES for p in modules(package)], ids=name_of)
def test_only_the_shards_know_hdf5(path):
    if not name_of(path).startswith("rainsynth/shards/"):
        assert not {dotted.split(".")[0] for dotted in imports(path)} & {"h5py", "hdf5plugin"}


@pytest.mark.parametrize("path", [*modules("rainsynth"), *modules("mspfn")], ids=name_of)
def test_nothing_imports_the_pipelines(path):
    assert "pipelines" not in {dotted.split(".")[0] for dotted in imports(path)}


@pytest.mark.parametrize("path", modules("mspfn"), ids=name_of)
def test_mspfn_knows_rainsynth_by_a_few_parts_only(path):
    known = parts_of_rainsynth(path)
    assert known <= KNOWN_TO_MSPFN, f"{name_of(path)} imports {known - KNOWN_TO_MSPFN} of rainsynth"


@pytest.mark.parametrize("path", modules("rainsynth"), ids=name_of)
def test_inside_rainsynth_imports_point_upstream(path):
    own = path.relative_to(ROOT / "rainsynth").with_suffix("").parts[0]
    if own == "__init__":
        return  # the front door hands on names of every part
    assert own in RANK, f"{name_of(path)} has no place in FLOW: put the new part where its data comes from"
    for other in parts_of_rainsynth(path) - {own}:
        assert RANK.get(other, len(FLOW)) < RANK[own], f"{own} must not import {other}"
        assert own != "presets" or other in KNOWN_TO_PRESETS, f"presets must not import {other}"


@pytest.mark.parametrize("path", [p for package in PACKAGES for p in modules(package)], ids=name_of)
def test_only_two_modules_hold_the_srgb_transfer(path):
    numbers = {node.value for node in ast.walk(tree_of(path)) if isinstance(node, ast.Constant)}
    held = {n for n in numbers if isinstance(n, float)} & SRGB_CONSTANTS
    assert name_of(path) in HOMES_OF_SRGB or not held


@pytest.mark.parametrize("path", [p for package in PACKAGES for p in modules(package)], ids=name_of)
def test_picture_files_go_through_pillow(path):
    # cv2.imread and cv2.imwrite take BGR, and say nothing about a file that they cannot read.
    called = {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
    assert not called & {"imread", "imwrite"}


def test_importing_rainsynth_loads_nothing_heavy():
    heavy = ["torch", "albumentations", "dask", "h5py", "cv2", "scipy", "numba"]
    code = f"import sys, rainsynth; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_every_name_of_the_front_door_opens():
    for name in rainsynth.HOMES:
        assert getattr(rainsynth, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute"):
        rainsynth.absent  # noqa: B018


def test_no_module_draws_from_a_hidden_random_state():
    # np.random.seed, np.random.rand and the like; default_rng() without a seed.
    allowed = {"default_rng", "Generator", "SeedSequence", "PCG64", "Philox", "BitGenerator"}
    for path in (p for package in PACKAGES for p in modules(package)):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
                assert node.attr in allowed, f"{name_of(path)}:{node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("default_rng"):
                assert node.args or node.keywords, f"{name_of(path)}:{node.lineno}"
