"""Command line, generation on dask, training runs and reports. Nothing imports this package."""
