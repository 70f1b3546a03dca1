"""Measurements, each in processes of its own; each writes docs/results/NAME.json.

    steps      whole training steps beside PyTorch, JAX and the teaching libraries
    predict    one image, without a tape
    loader     images prepared for training, beside torchvision
    layers     single layers, forward and backward
    tape       what recording and walking one operation costs
    memory     the peak of a training step
    growth     time and memory as batch, image, channels and depth grow
    leak       resident memory over many steps
    mutation   what mutation testing found (run mutmut first)

`python -m benchmarks NAME --help` tells what is measured, how, and the options. Leave the machine
alone meanwhile: a measurement beside other work measures the other work.

Read next: networks.py
"""
