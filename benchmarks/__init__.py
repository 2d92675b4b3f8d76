"""Benchmarks of speed and likelihood, in comparison with other libraries and with published results.

    python -m benchmarks.speed made          speed of tfar, TFP and PyTorch, measured in turns
    python -m benchmarks.likelihood made     test log-likelihood on the data sets of the papers
    python -m benchmarks.tables --write      writes the tables of README and docs from `benchmarks/results`

The cases of a model are in `benchmarks/models/<name>.py`.
"""
