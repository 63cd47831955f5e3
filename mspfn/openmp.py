"""How PyTorch's threads wait for each other, on processors that others want too."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

# What GNU OpenMP takes by itself where it has more threads than processors (libgomp's manual, GOMP_SPINCOUNT). It does
# not know of the thread that makes the next batch: with its usual 300,000, about 5 ms, the network's threads burn a
# processor while one of them waits for that thread to leave. Sleeping at once instead makes a training step 1.5 times
# as long (measured with MSPFN, M = 4 and 32 channels, on two cores).
SPIN_COUNT = 1000
WAIT_SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def spin_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have the threads of GNU OpenMP, which PyTorch's wheels for Linux use, spin for a short while before they sleep.

    Call it before PyTorch is imported; afterwards it changes nothing. What a user has set stays.
    """
    if not any(name in environment for name in WAIT_SETTINGS):
        environment["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
