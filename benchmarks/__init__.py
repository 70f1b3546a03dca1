"""Measurements, each in its own processes; each writes its results to docs/results/NAME.json.

    steps      whole training steps, compared with PyTorch, JAX and teaching libraries
    predict    inference for one image, without a graph
    loader     preparing images for training, compared with torchvision
    layers     single layers, forward and backward
    tape       the cost of recording one operation in the graph and running its backward pass
    memory     the peak memory of a training step
    growth     time and memory as the batch, the image, the channels or the depth grow
    leak       resident memory over many steps
    rules      the heuristics of fast/choice.py, each compared with its alternatives
    mutation   what mutation testing found (run mutmut first)

`python -m benchmarks NAME --help` says what is measured and how, and lists the options. Do not use
the machine while a benchmark runs, because other work would affect the measurements.
"""
