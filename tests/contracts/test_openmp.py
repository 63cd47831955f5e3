"""Threads that wait: the command has them sleep early, unless a user says how."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mspfn.openmp import SPIN_COUNT, spin_briefly


@pytest.mark.parametrize("given", [{"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_what_a_user_has_set_stays(given: dict[str, str]) -> None:
    environment = dict(given)
    spin_briefly(environment)
    assert environment == given


def test_the_command_says_so_before_pytorch_is_loaded() -> None:
    script = (
        "import os, sys; import pipelines.cli; assert 'torch' not in sys.modules;"
        "from typer.testing import CliRunner; CliRunner().invoke(pipelines.cli.app, []);"
        "print(os.environ['GOMP_SPINCOUNT'])"
    )
    clean = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    told = subprocess.run([sys.executable, "-c", script], env=clean, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(SPIN_COUNT)
