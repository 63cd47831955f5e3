"""`rainsynth study domain`: how much a network loses in rain it was not trained on, and which adaptation regains it."""
