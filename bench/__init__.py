"""Benchmarks a user can run: `glasshouse bench NAME` executes `python -m bench.NAME`.

Each one prints every run, writes its results as JSON with a table and a plot, and measures something else
beside the server in the same run, since absolute times of a shared machine say little.
"""
