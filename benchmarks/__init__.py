"""Measurements against other libraries, each in a process of its own.

python -m benchmarks memory    peak memory of a training step, beside PyTorch's
"""
