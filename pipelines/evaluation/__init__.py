"""Parts of `rainsynth evaluate`: what is measured, by whom it was derained, figures, and the report of them."""
