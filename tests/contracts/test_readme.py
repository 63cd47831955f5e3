"""What the README says can be typed: its Python runs, and its commands name verbs, options and configs that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from pipelines.cli import app
from pipelines.config import read_yaml
from pipelines.generate import generate
from pipelines.generate_config import GenerateConfig, PhotographsConfig
from rainsynth.preset_choice import PresetChoice

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("rainsynth ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo_srgb8: np.ndarray
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    photo = np.tile(photo_srgb8, (4, 4, 1))[:160, :160]
    Image.fromarray(photo).save("photo.jpg")
    Image.fromarray(photo).save("photos/photo.png")
    config = GenerateConfig(
        data=PhotographsConfig(photographs="photos"), samples=1, mixture=(PresetChoice(preset="heavy"),)
    )
    generate(config, Path("data/heavy"), workers=1)
    (block,) = blocks("python")
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_readme_can_be_typed(words: list[str]) -> None:
    verb, said = typer.main.get_command(app), iter(words)
    while hasattr(verb, "commands"):
        verb = verb.commands[next(said)]
    options = {name for parameter in verb.params for name in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= options
    for word in words:
        if word.startswith("configs/"):
            read_yaml(ROOT / word)


def test_files_and_presets_that_the_readme_names_exist() -> None:
    from rainsynth.presets import PRESETS

    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target
    for name, preset in PRESETS.items():
        assert f"| `{name}` | {preset.title} |" in README
