"""Every config in the repository loads, and a wrong one is refused in one line that says all that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from mspfn.data_config import EVERY_CLASS
from mspfn.train_config import TrainConfig
from pipelines.config import load_config, plain_values
from pipelines.domains.config import DomainStudy
from pipelines.generate_config import GenerateConfig
from pipelines.study_config import CurriculumStudy
from rainsynth.checks import InputError
from rainsynth.preset_choice import PresetChoice

CONFIGS = Path(__file__).parents[2] / "configs"
KINDS = {
    "generate": GenerateConfig,
    "train": TrainConfig,
    "adapt": TrainConfig,
    "study/curriculum": CurriculumStudy,
    "study/domain": DomainStudy,
}
# What a verb's options add to its config.
GIVEN = {
    "adapt": {"data__photographs": "a", "data__validation_shards": "b", "unpaired__photographs": "c"},
}


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_loads_and_opens_with_its_command(path: Path) -> None:
    kind = KINDS.get(path.parent.name) or KINDS[f"{path.parent.name}/{path.stem}"]
    load_config(kind, path, **GIVEN.get(path.parent.name, {}))
    opening = path.read_text().splitlines()[:2]
    assert all(line.startswith("#") for line in opening)
    assert f"rainsynth {path.parent.name}" in opening[1]
    assert f"configs/{path.parent.name}/{path.name}" in opening[1]


def test_settings_lie_on_top_of_the_file() -> None:
    path = CONFIGS / "generate" / "light_to_heavy.yaml"
    config = load_config(GenerateConfig, path, ["data.photographs=elsewhere", "samples=7", "size_px=96"], seed=3)
    assert (config.data.photographs, config.samples, config.size_px, config.seed) == ("elsewhere", 7, 96, 3)
    assert (
        plain_values(config)["mixture"][0].items() >= {"preset": "light", "weight": 1.0, "rain_rate_mm_h": None}.items()
    )


def test_every_kind_of_training_data_can_be_set_in_a_line() -> None:
    def data(path: str, *settings: str):
        return load_config(TrainConfig, CONFIGS / "train" / path, settings).data

    assert data("mspfn_tiny.yaml", "data.shards=elsewhere").shards == "elsewhere"
    other = data("mspfn_tiny.yaml", "data.shards=null", "data.pairs=pairs", "data.target=clean")
    assert (other.shards, other.pairs) == (None, "pairs")
    assert data("mspfn_tiny.yaml", "data.shards=null", "data.photographs=photos").presets == EVERY_CLASS
    rendered = data("mspfn_small_rendered.yaml", "data.presets=[{preset: heavy, rain_rate_mm_h: [20, 30]}]")
    assert rendered.presets == (PresetChoice(preset="heavy", rain_rate_mm_h=(20, 30)),)
    mixed = data("mspfn_small_mixture.yaml", "data.sources=[{shards: a, weight: 3}, {photographs: b}]")
    assert [(source.shards, source.photographs, source.weight) for source in mixed.sources] == [
        ("a", None, 3),
        (None, "b", 1),
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.photographs=x"], "data must name exactly one of .*, got shards and photographs"),
        (["data.shards=null"], "data must name exactly one of .*, got none"),
        (["data.shards=null", "data.photographs=x", "data.presets=[{preset: hevy}]"], "preset must be .*got 'hevy'"),
        (["data.shards=null", "data.sources=[{shards: a, pairs: b}]"], "a source must name .*, got shards and pairs"),
        (["data.shards=null", "data.sources=[{shard: a}]"], "data.sources.0.shard must be a known key"),
    ],
)
def test_wrong_training_data_is_refused_in_one_line(settings: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_config(TrainConfig, CONFIGS / "train" / "mspfn_tiny.yaml", settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["sampels=3"], "sampels must be a known key"),
        (["data.fotos=x"], "data.fotos must be a known key"),
        (["samples=-1"], "samples must be between 1 and 1e.09, got -1"),
        (["samples=many"], "samples: Input should be a valid integer"),
        (["mixture=[{preset: hevy}]"], "preset must be one of .*got 'hevy'"),
        (["mixture=[{preset: heavy, rain_rate_mm_h: [-5, 3]}]"], "rain_rate_mm_h must be between"),
        (["samples.x=1"], "samples is not a group"),
        (["samples"], "--set must be KEY=VALUE"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(settings: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_config(GenerateConfig, CONFIGS / "generate" / "light_to_heavy.yaml", settings)
    assert "\n" not in str(caught.value)


def test_a_setting_of_what_an_option_says_is_refused() -> None:
    path = CONFIGS / "generate" / "light_to_heavy.yaml"
    with pytest.raises(InputError, match=r"^--set must not name what an option says, got data\.photographs"):
        load_config(GenerateConfig, path, ["seed=1", "data.photographs=there"], data__photographs="here")
    assert load_config(GenerateConfig, path, ["seed=1"], data__photographs="here").seed == 1


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InputError, match=r"seed: Input should be.*sampels must be a known key"):
        load_config(GenerateConfig, CONFIGS / "generate" / "light_to_heavy.yaml", ["sampels=3", "seed=abc"])


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n", "", "\x00"])
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(InputError, match=r"bad\.yaml"):
        load_config(GenerateConfig, tmp_path / "bad.yaml")
    with pytest.raises(InputError, match="must be a YAML file, got nothing"):
        load_config(GenerateConfig, tmp_path / "absent.yaml")
