"""Measurements, each in its own processes; each writes docs/results/NAME.json.

    steps      whole training steps, compared with PyTorch, JAX and the teaching libraries
    predict    one image, without a graph
    loader     images prepared for training, compared with torchvision
    layers     single layers, forward and backward
    tape the cost of recording one operation in the graph and running its backward pass memory the
    peak of a training step growth time and memory as batch, image, channels and depth grow leak
    resident memory over many steps mutation what mutation testing found (run mutmut first)

`python -m benchmarks NAME --help` says what is measured, how, and with which options. Do not use
the machine meanwhile: other work would affect the measurements.
"""
