"""The verbs of the command `rainsynth`, grouped by what they work on."""
