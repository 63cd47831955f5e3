"""Look-alikes of the field's benchmark sets: rain as their makers drew it, fitted to what their pairs measure.

`draw_look_alike(name, depth_m, rng)` gives the layers of one picture; `rainsynth.display_blend` blends them. `LineRain`
is a look-alike of one's own, given by its numbers; `draw_layers` draws any.
Look-alike: statistics taken from the set's pairs. They are for training towards a benchmark and for comparing it with
physical rain, which is in `rainsynth.presets`.
"""

from rainsynth.lookalikes.layers import LookAlikeLayers, draw_layers, draw_look_alike
from rainsynth.lookalikes.line_rain import LineKind, LineRain
from rainsynth.lookalikes.ranges import Drawn, Kind, LookAlike
from rainsynth.lookalikes.sets import LOOKALIKES

__all__ = [
    "LOOKALIKES",
    "Drawn",
    "Kind",
    "LineKind",
    "LineRain",
    "LookAlike",
    "LookAlikeLayers",
    "draw_layers",
    "draw_look_alike",
]
