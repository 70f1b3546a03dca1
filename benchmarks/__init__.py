"""Measurements, each in processes of its own; each writes docs/results/NAME.json.

    python -m benchmarks memory     peak memory of a training step, beside PyTorch's
    python -m benchmarks mutation   what mutation testing found (run mutmut first)
"""
