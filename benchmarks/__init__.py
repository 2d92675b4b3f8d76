"""Speed and likelihood beside the peers and the papers: one command each.

    python -m benchmarks.speed made          times against TFP and PyTorch, alternating in one process
    python -m benchmarks.likelihood made     test log-likelihood on the papers' data sets
    python -m benchmarks.tables --write      the README's tables from `benchmarks/results`

A model adds its cases in `benchmarks/models/<name>.py`; everything else is shared.
"""
