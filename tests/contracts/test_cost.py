"""What a run cost is kept beside what it made, over all its parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cost import Cost, add_cost, cost_of, counted_cost, machine_name, processor_s
from rainsynth.checks import InputError


def test_parts_of_a_run_add_up(tmp_path: Path) -> None:
    add_cost(tmp_path, 10, 15)
    add_cost(tmp_path, 2.5, 3)
    assert cost_of(tmp_path) == Cost(machine=machine_name(), seconds=12.5, processor_s=18)


def test_processor_time_is_of_all_processes_and_time_by_the_clock_of_the_first(tmp_path: Path) -> None:
    add_cost(tmp_path, 9, 14, rank=1)
    assert cost_of(tmp_path) is None
    add_cost(tmp_path, 10, 15)
    add_cost(tmp_path, 9, 13, rank=2)
    add_cost(tmp_path, 1, 2, rank=1)
    assert cost_of(tmp_path) == Cost(machine=machine_name(), seconds=10, processor_s=15 + 14 + 2 + 13)


def test_a_run_that_is_stopped_has_cost_something(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), counted_cost(tmp_path):
        work_until_s = processor_s() + 0.25
        while processor_s() < work_until_s:
            pass
        raise KeyboardInterrupt
    cost = cost_of(tmp_path)
    assert cost is not None and cost.processor_s >= 0.2


def test_a_run_that_is_refused_leaves_a_folder_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(InputError), counted_cost(tmp_path):
        raise InputError("out must be new.")
    assert not list(tmp_path.iterdir())
    with counted_cost(tmp_path / "absent"):
        pass
    assert not list(tmp_path.iterdir())
