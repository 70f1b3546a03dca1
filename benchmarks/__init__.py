"""Measurements, each in processes of its own; each writes docs/results/NAME.json.

`python -m benchmarks memory` is the peak memory of a training step, beside PyTorch's;
`python -m benchmarks mutation` is what mutation testing found (run mutmut first).
"""
