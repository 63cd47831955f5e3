"""Weights that come with the package: those of a run in half precision, with what a reader must know of them.

    python docs/pack_weights.py NAME=RUN --card TEXT.md

NAME is what `load_weights` will know them by; an older file of that name is replaced. The file says of itself on what
it was trained (its config, with folders by their last names, and those of the runs before whose weights it went on
from, their kinds of rain counted, not listed), for how long and where, and carries the card: a text on data, figures
and limits. The card also goes into mspfn/weights/NAME.md, for people.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from training_results import history_of

from mspfn.checkpoint import BUNDLED_WEIGHTS, about_weights, load_weights, save_weights, write_whole


def main() -> None:
    """Write the file and the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="NAME=RUN")
    parser.add_argument("--card", type=Path, required=True)
    options = parser.parse_args()
    name, _, folder = options.run.partition("=")
    run, card = Path(folder), options.card.read_text()
    *before, last = history_of(run)
    about = about_weights(run / "weights.pt")["about"] | last | {"runs_before": counted(before), "card": card}
    BUNDLED_WEIGHTS.mkdir(exist_ok=True)
    path = BUNDLED_WEIGHTS / f"{name}.pt"
    save_weights(path, load_weights(run / "weights.pt"), half=True, about=about)
    write_whole(path.with_suffix(".md"), card.encode())
    print(json.dumps(about["config"], indent=1))
    print(f"wrote {path}, {path.stat().st_size / 1e6:.2f} MB")


def counted(value: Any) -> Any:
    """Plain values with lists of kinds of rain, each of many numbers, as how many they are."""
    if isinstance(value, list):
        return [counted(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: len(one) if key == "kinds" and isinstance(one, list) else counted(one) for key, one in value.items()}


if __name__ == "__main__":
    main()
