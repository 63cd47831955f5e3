"""The picture of a training run shows the curriculum's stages where they were, and its labels do not overlap."""

import json
from itertools import pairwise

import pytest
from PIL import Image

from pipelines.training_curve import CURVE_WIDTH_PT, LETTER_PT, Stage, placed_labels, plot_curve, stages_of


def records(*stages, every=50):
    return [{"step": every * number, "loss": 0.1, "stage": stage} for number, stage in enumerate(stages, 1)]


def test_stages_of_a_log_lie_one_after_the_other_and_leave_no_gap():
    log = records("light", "light", "heavy", "light")
    log.insert(1, {"step": 70, "psnr_y_db": {"all": 20.0}})
    log.insert(2, {"step": 71, "skipped": "loss nan"})
    assert stages_of(log) == [Stage("light", 0, 100), Stage("heavy", 100, 150), Stage("light", 150, 200)]


def extent(placed, whole):
    """Row, first and last place of a label, as shares of the curve's width."""
    stage, row = placed
    width = len(stage.name) * LETTER_PT / CURVE_WIDTH_PT
    middle = (stage.start + stage.end) / 2 / whole
    return (row, stage.start / whole, stage.start / whole + width) if row is not None else (
        None, middle - width / 2, middle + width / 2
    )  # fmt: skip


@pytest.mark.parametrize("name", ["rates up to {} mm/h", "{}"])
@pytest.mark.parametrize("count", [1, 3, 10, 200])
def test_labels_of_a_row_do_not_overlap_and_stay_inside(name, count):
    stages = [Stage(name.format(number), 100 * number, 100 * (number + 1)) for number in range(count)]
    stages.append(Stage("all rates", 100 * count, 200 * count))
    placed = placed_labels(stages)
    assert placed[0][0] == stages[0]
    assert placed[-1] == (stages[-1], None)  # half of the width is room for it
    extents = [extent(item, 200 * count) for item in placed]
    for row in {row for row, _, _ in extents}:
        places = [(low, high) for found, low, high in extents if found == row]
        assert all(before[1] <= after[0] for before, after in pairwise(places))
        assert places[0][0] >= 0
        assert places[-1][1] <= 1


@pytest.mark.parametrize("log", [records("light", "heavy"), [{"step": 3, "psnr_y_db": {"all": 20.0}}], []], ids=len)
def test_a_run_with_or_without_losses_scores_and_stages_has_a_picture(tmp_path, log):
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in log))
    plot_curve(tmp_path, tmp_path / "curves" / "curve.png")
    assert Image.open(tmp_path / "curves" / "curve.png").size == (990, 440)
