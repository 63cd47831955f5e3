"""Named stages open what they say, when they say it, and wrong ones are refused in one line."""

import numpy as np
import pytest
from test_curriculum import of_sources
from test_trainer import tiny_config

from mspfn.curriculum import Standing, sample_probabilities, window_at
from mspfn.curriculum_check import check_samples
from mspfn.curriculum_config import CurriculumConfig, CurriculumStage, Gate
from mspfn.samples import Samples
from pipelines.config import build_config
from rainsynth.checks import InputError

STAGES = (
    CurriculumStage(name="drizzle", from_progress=0.0, rain_rate_mm_h=(0, 2.5)),
    CurriculumStage(name="rain", from_progress=0.2, rain_rate_mm_h=(0, 10)),
    CurriculumStage(name="downpour", from_progress=0.5, rain_rate_mm_h=(2.5, 500), replay_fraction=0.4),
    CurriculumStage(name="hard tail", from_progress=0.8, difficulty_share=(0.6, 1)),
    CurriculumStage(name="all", from_progress=0.9),
)
STAGED = CurriculumConfig(name="staged", stages=STAGES, replay_fraction=0.2)
RATES_MM_H = np.array([30.0, 1, 5, 2.5, 90, 0.5, 10, 60, 20, 3])


def staged(*stages, **options):
    return CurriculumConfig(name="staged", stages=tuple(CurriculumStage(**stage) for stage in stages), **options)


@pytest.mark.parametrize(
    ("progress", "name", "replay", "is_open"),
    [
        (0.0, "drizzle", 0.2, lambda rate: rate <= 2.5),
        (0.19, "drizzle", 0.2, lambda rate: rate <= 2.5),
        (0.2, "rain", 0.2, lambda rate: rate <= 10),
        (0.5, "downpour", 0.4, lambda rate: rate >= 2.5),
        (0.8, "hard tail", 0.2, lambda rate: rate in (20, 30, 60, 90)),  # the hardest four of ten
        (0.99, "all", 0.2, lambda rate: True),
    ],
)
def test_a_stage_draws_from_its_bounds_and_replays_from_all(progress, name, replay, is_open):
    samples = Samples(RATES_MM_H)
    check_samples(STAGED, samples)
    inside = sum(map(is_open, RATES_MM_H))
    expected = [replay / 10 + (1 - replay) / inside * is_open(rate) for rate in RATES_MM_H]
    np.testing.assert_allclose(sample_probabilities(STAGED, progress, samples), expected)
    assert window_at(STAGED, progress, samples).words == name


def test_a_sample_must_be_inside_both_kinds_of_bounds():
    config = staged(
        {"name": "both", "from_progress": 0, "rain_rate_mm_h": (3, 60), "difficulty_share": (0, 0.5)},
        replay_fraction=0,
        difficulty="input-psnr",
    )
    samples = Samples(RATES_MM_H, difficulty=-RATES_MM_H)  # the heavier the easier: 10 mm/h is the fifth
    drawn = RATES_MM_H[sample_probabilities(config, 0, samples) > 0]
    assert sorted(drawn) == [10, 20, 30, 60]


def test_a_stage_leaves_samples_that_its_bounds_cannot_judge_their_share():
    # rates of the first source only; difficulties of the first two
    samples = of_sources([1, 50], [np.nan, np.nan], [np.nan], weights=[2, 1, 1])
    samples.difficulty = np.array([1.0, 4, 2, 3, np.nan])
    config = staged(
        {"name": "light", "from_progress": 0, "rain_rate_mm_h": (0, 9)},
        {"name": "easy", "from_progress": 0.5, "difficulty_share": (0, 0.4)},
        replay_fraction=0,
    )
    light, easy = (sample_probabilities(config, progress, samples) for progress in (0, 0.5))
    np.testing.assert_allclose(light, [0.5, 0, 0.125, 0.125, 0.25])
    # of the 0.75 of known difficulty the easiest sample has 1/3 and the second 1/6, in which the easiest 0.4 ends
    np.testing.assert_allclose(easy, [0.5, 0, 0.25, 0, 0.25])


def test_a_stage_that_a_gate_has_opened_comes_before_its_time_and_none_goes_back():
    samples = Samples(RATES_MM_H)
    for opened, progress, name in [(1, 0.0, "rain"), (2, 0.21, "downpour"), (1, 0.6, "downpour"), (0, 0.3, "rain")]:
        assert window_at(STAGED, progress, samples, Standing(stage=opened)).words == name


@pytest.mark.parametrize(
    ("stage", "rates", "message"),
    [
        ({"rain_rate_mm_h": (100, 500)}, RATES_MM_H, "hard must hold .* none with rain_rate_mm_h .*0.5 to 90 mm/h"),
        (
            {"rain_rate_mm_h": (0, 3), "difficulty_share": (0.9, 1)},
            RATES_MM_H,
            r"hard must hold some samples, got none with rain_rate_mm_h \[0, 3\] and difficulty_share \[0.9, 1\]",
        ),
        ({"rain_rate_mm_h": (1, 2)}, np.full(3, np.nan), "hard: rain_rate_mm_h must be left out .* unknown rain rate"),
    ],
)
def test_a_stage_without_samples_is_refused(stage, rates, message):
    config = staged({"name": "any", "from_progress": 0}, {"name": "hard", "from_progress": 0.5} | stage)
    with pytest.raises(InputError, match=f"^stage {message}"):
        check_samples(config, Samples(rates))


FIRST = {"name": "first", "from_progress": 0}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "staged"}, "curriculum.stages must name at least one stage"),
        ({"name": "uniform", "stages": [FIRST]}, "curriculum.stages must go with curriculum.name: staged, got uniform"),
        (
            {"name": "self-paced", "gate": {"validations": 2, "gain_db": 0.1}},
            "curriculum.gate must go with curriculum.name: staged, got self-paced",
        ),
        ({"stages": [{"name": "a", "from_progress": 0.1}]}, r"stages must have growing .* the first 0, got \[0.1\]"),
        (
            {"stages": [FIRST, {"name": "b", "from_progress": 0.5}, {"name": "c", "from_progress": 0.5}]},
            r"stages must have growing from_progress, the first 0, got \[0.0, 0.5, 0.5\]",
        ),
        ({"stages": [FIRST, FIRST | {"from_progress": 0.5}]}, "stages must have names of their own, got first, first"),
        ({"stages": [FIRST | {"name": ""}]}, "name of a stage must be 1 to 40 characters in a line, got ''"),
        ({"stages": [FIRST, {"name": "b", "from_progress": 1}]}, "stage b: from_progress must be between 0 and 1"),
        ({"stages": [FIRST | {"rain_rate_mm_h": [5, 2]}]}, "stage first: rain_rate_mm_h must be two numbers, low then"),
        ({"stages": [FIRST | {"rain_rate_mm_h": [0, 900]}]}, "stage first: rain_rate_mm_h must be between 0 and 500"),
        ({"stages": [FIRST | {"difficulty_share": [0, 30]}]}, "stage first: difficulty_share must be between 0 and 1"),
        ({"stages": [FIRST | {"replay_fraction": 2}]}, "stage first: replay_fraction must be between 0 and 1"),
        ({"stages": [FIRST | {"rate": [0, 1]}]}, "stages.0.rate must be a known key"),
        ({"stages": [FIRST], "gate": {"validations": 2}}, "gate.gain_db must be given"),
        ({"stages": [FIRST], "gate": {"validations": 0, "gain_db": 0}}, "gate.validations must be between 1"),
        ({"stages": [FIRST], "gate": {"validations": 1, "gain_db": -1}}, "gate.gain_db must be between 0"),
    ],
)
def test_wrong_stages_of_a_file_are_refused_in_one_line(values, message):
    with pytest.raises(InputError, match=message) as caught:
        build_config(CurriculumConfig, {"name": "staged"} | values, "a.yaml")
    assert "\n" not in str(caught.value)


def test_stages_of_a_file_are_read():
    plain = {
        "name": "staged",
        "stages": [
            {"name": "drizzle", "from_progress": 0.0, "rain_rate_mm_h": [0, 2.5]},
            {"name": "hard", "from_progress": 0.4, "difficulty_share": [0.5, 1], "replay_fraction": 0.3},
        ],
        "gate": {"validations": 2, "gain_db": 0.05},
        "difficulty": {"rain-rate": 1, "input-psnr": 2},
    }
    config = build_config(CurriculumConfig, plain, "a.yaml")
    assert config == staged(
        {"name": "drizzle", "from_progress": 0, "rain_rate_mm_h": (0, 2.5)},
        {"name": "hard", "from_progress": 0.4, "difficulty_share": (0.5, 1), "replay_fraction": 0.3},
        gate=Gate(validations=2, gain_db=0.05),
        difficulty={"rain-rate": 1, "input-psnr": 2},
    )


def test_a_gate_without_validation_data_is_refused():
    config = staged(FIRST, gate=Gate(validations=1, gain_db=0))
    assert tiny_config(curriculum=config).curriculum == config
    with pytest.raises(InputError, match=r"^curriculum.gate must go with data.validation_shards or .*, got neither"):
        tiny_config(data={"validation_shards": None}, curriculum=config)
