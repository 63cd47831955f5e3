"""What a run measures acts a fixed number of steps later, opens gates and orders bins as it should."""

import itertools

import numpy as np
import pytest

from mspfn.curriculum import bins_by_error, open_bins, sample_probabilities
from mspfn.curriculum_config import CurriculumConfig, CurriculumStage, Gate
from mspfn.pacing import BIN_MEMORY_ROWS, FEEDBACK_DELAY_STEPS, Pacing
from mspfn.samples import Samples

STEPS, DELAY = 1000, 10
STAGES = tuple(CurriculumStage(name=name, from_progress=start) for name, start in (("a", 0), ("b", 0.5), ("c", 0.9)))
GATED = CurriculumConfig(name="staged", stages=STAGES, gate=Gate(validations=2, gain_db=0.5))
PACED = CurriculumConfig(name="self-paced", bins=4, start_competence_fraction=0.25, reached_at=1)


def hear(pacing, scores, every=20, start=0):
    for number, psnr_y_db in enumerate(scores, 1):
        pacing.hear_validation(start + every * number - 1, psnr_y_db)
    return pacing


def opening(pacing, known_from=0):
    """First step at which each later stage has been opened by the gate, of those that are not forgotten."""
    stages = [pacing.at(step).stage for step in range(known_from, STEPS)]
    return {stage: known_from + stages.index(stage) for stage in (1, 2) if stage in stages}


@pytest.mark.parametrize(
    ("scores", "opened_after"),
    [
        ([20, 21, 22, 23, 24, 25], None),  # gains a whole dB each time
        ([20, 20.4, 20.4], 59),  # two in a row below 0.5 dB: after step 59, the third validation
        ([20, 20.4, 20.6], 59),  # 0.4 and 0.2 above the best before each, though 0.6 together
        ([20, 19, 21, 20, 22, 21], None),  # never two in a row
        ([20, 19, 21, 20.9, 21.4], 99),  # 0.4 above the best so far, which is 21 and not 20.9
        ([20, 20.5, 21.0, 21.5], None),  # exactly the gain is a gain
        ([20], None),
    ],
)
def test_a_gate_opens_after_so_many_validations_in_a_row_without_enough_gain(scores, opened_after):
    pacing = hear(Pacing(GATED, STEPS, DELAY), scores)
    assert opening(pacing) == ({} if opened_after is None else {1: opened_after + DELAY})


def test_a_new_stage_starts_counting_anew_and_the_last_has_no_gate():
    pacing = hear(Pacing(GATED, STEPS, DELAY), [20, 20, 20])  # opens b after step 59
    hear(pacing, [25, 19, 19.4], start=60)  # steps 79, 99, 119: 25 is the best of the new stage, the others are below
    assert opening(pacing, 120) == {1: 120, 2: 129}
    hear(pacing, [10] * 10, start=120)
    assert pacing.at(STEPS).stage == 2


def test_validations_between_an_opening_and_the_stage_count_for_neither():
    pacing = Pacing(GATED, STEPS, DELAY)
    for step in (0, 2, 4, 6, 8, 10, 12):  # opens at step 4 + 10, so 6 to 12 are still of the first stage
        pacing.hear_validation(step, 20.0)
    assert opening(pacing) == {1: 14}
    for step in (14, 16):
        pacing.hear_validation(step, 20.0)
    assert pacing.at(STEPS).stage == 1  # the first of the second stage, and one without gain
    pacing.hear_validation(18, 20.0)
    assert pacing.at(28).stage == 2


def test_a_stage_that_came_by_its_time_starts_counting_anew():
    pacing = Pacing(GATED, STEPS, DELAY)
    pacing.hear_validation(480, 20.0)
    pacing.hear_validation(490, 20.0)  # one without gain in a; b is due at 500
    pacing.hear_validation(510, 19.0)
    pacing.hear_validation(520, 19.0)
    assert pacing.at(600).stage == 0
    pacing.hear_validation(530, 19.0)
    assert (pacing.at(539).stage, pacing.at(540).stage) == (0, 2)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5], ids=str)
def test_self_paced_opens_bins_in_the_order_of_their_error(order):
    pacing = Pacing(PACED, STEPS, DELAY)
    errors = [0.1 * (1 + order.index(number)) for number in range(4)]
    pacing.hear_errors(0, [2 * error for error in errors], [2] * 4)
    samples = Samples(np.arange(40.0), difficulty=np.arange(40.0))
    for progress, count in ((0.0, 1), (0.19, 2), (0.5, 3), (1.0, 4)):
        # c(t) = sqrt(t (1 - 1/16) + 1/16): 0.25, 0.49, 0.73, 1 of four bins, begun ones counting whole
        expected = tuple(sorted(order[:count]))
        assert open_bins(PACED, progress, pacing.at(DELAY)) == expected
        assert open_bins(PACED, progress, pacing.at(DELAY - 1)) == tuple(range(count))  # nothing is known yet
        probabilities = sample_probabilities(PACED, progress, samples, pacing.at(DELAY))
        inside = np.isin(np.arange(40) // 10, expected)
        np.testing.assert_allclose(probabilities, 0.25 / 40 + 0.75 * inside / (10 * count))


def test_bins_never_seen_keep_their_place_behind_the_hardest_of_the_easier_ones():
    pacing = Pacing(PACED, STEPS, DELAY)
    assert bins_by_error(4, pacing.at(0)) == [0, 1, 2, 3]
    pacing.hear_errors(0, [0.5, 0, 0.3, 0], [1, 0, 1, 0])  # 0 is harder than 2; 1 and 3 count as hard as 0
    assert bins_by_error(4, pacing.at(DELAY)) == [2, 0, 1, 3]
    pacing.hear_errors(1, [0, 0.2, 0, 0], [0, 1, 0, 0])
    assert bins_by_error(4, pacing.at(DELAY + 1)) == [1, 2, 0, 3]
    first_unseen = Pacing(PACED, STEPS, DELAY)
    first_unseen.hear_errors(0, [0, 0.1, 0, 0], [0, 1, 0, 0])
    assert bins_by_error(4, first_unseen.at(DELAY)) == [0, 1, 2, 3]


def test_mean_of_a_bin_is_that_of_its_first_rows_and_then_runs():
    pacing, rng = Pacing(PACED, STEPS, 1), np.random.default_rng(0)
    mean, seen = 0.0, 0
    for step in range(100):
        rows = int(rng.integers(0, 4))
        errors = rng.random(rows)
        pacing.hear_errors(step, [errors.sum(), 0, 0, 0], [rows, 0, 0, 0])
        if rows:  # by hand: the plain mean until 64 rows are in it, then 1 - n / 64 of the old one
            memory = min(seen + rows, BIN_MEMORY_ROWS)
            mean, seen = mean + rows / memory * (errors.mean() - mean), seen + rows
    assert seen > 100
    assert pacing.at(100).bin_error[0] == pytest.approx(mean)
    plain = Pacing(PACED, STEPS, 1)
    plain.hear_errors(0, [3.0, 0, 0, 0], [2, 0, 0, 0])
    plain.hear_errors(1, [0.0, 0, 0, 0], [4, 0, 0, 0])
    assert plain.at(2).bin_error[0] == pytest.approx(3 / 6)


def test_what_is_heard_acts_after_the_delay_and_a_batch_may_be_drawn_any_time_before():
    rng = np.random.default_rng(1)
    heard = [(rng.random(4).tolist(), [1] * 4) for _ in range(60)]
    late, found = Pacing(PACED, STEPS, DELAY), {}
    assert late.most_ahead_steps == DELAY - 1
    for step, (sums, rows) in enumerate(heard):
        for ahead in range(DELAY):  # as far ahead as may be asked
            standing = late.at(step + ahead)
            assert found.setdefault(step + ahead, standing) == standing
        late.hear_errors(step, sums, rows)
    at_once = Pacing(PACED, STEPS, 1)
    for step, (sums, rows) in enumerate(heard[: 60 - DELAY]):
        at_once.hear_errors(step, sums, rows)
        assert found[step + DELAY] == at_once.at(step + 1)


def test_a_pacing_that_is_restored_goes_on_as_if_nothing_had_happened():
    for config in (PACED, GATED):
        first, second = Pacing(config, STEPS, DELAY), Pacing(config, STEPS, DELAY)
        rng = np.random.default_rng(2)
        for step in range(80):
            second_again = Pacing(config, STEPS, DELAY)
            second_again.restore(second.recorded())
            second = second_again
            sums, score = rng.random(4).tolist(), float(rng.normal(20, 0.3))
            for pacing in (first, second):
                if config is PACED:
                    pacing.hear_errors(step, sums, [1, 0, 2, 1])
                elif step % 4 == 0:
                    pacing.hear_validation(step, score)
            assert [first.at(step + 1 + ahead) for ahead in range(2 * DELAY)] == [
                second.at(step + 1 + ahead) for ahead in range(2 * DELAY)
            ]
        assert first.recorded() == second.recorded()
        assert len(first.recorded()["dated"]) <= DELAY + 1


def test_curricula_that_follow_nothing_are_settled_to_the_end():
    assert Pacing(CurriculumConfig(name="competence"), STEPS).most_ahead_steps is None
    assert Pacing(CurriculumConfig(name="staged", stages=STAGES), STEPS).most_ahead_steps is None
    assert Pacing(PACED, STEPS).most_ahead_steps == FEEDBACK_DELAY_STEPS - 1
    assert Pacing(GATED, STEPS).most_ahead_steps == FEEDBACK_DELAY_STEPS - 1
