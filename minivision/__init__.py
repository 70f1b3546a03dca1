"""minivision: a computer-vision course that runs.

Read it from the bottom up, one file a sitting; each file ends by naming the next.

    backend.py     NumPy or CuPy
    tape.py        nodes, and the chain rule that walks them back
    autograd.py    Tensor and record
    gradcheck.py   is the gradient right?
    kernels/       arrays in, arrays out: windows, im2col, convolution, pooling
    functional/    differentiable functions: value and gradient side by side
    nn/            layers hold parameters and call one function
    optim/         SGD, Adam, schedules
    models/        networks, each a table from its paper and a loop
    transforms/    images to arrays; augmentation
    datasets/      digits, MNIST, your own folder; splits; the DataLoader
    training/      the loop, metrics, checkpoints, a run's folder
    analysis/      pictures and checks
    methods/       what to do with few images or few labels
    cli/           one file a command

Importing minivision brings in the engine, nn and optim. The rooms that need OpenCV, matplotlib or
scikit-learn are imported by name: `from minivision.datasets import digits`.

Read next: backend.py
"""

from minivision import functional, nn, optim
from minivision.autograd import Tensor, backward_steps, detect_anomaly, no_grad, record
from minivision.gradcheck import gradcheck

__version__ = "0.1.0"

__all__ = [
    "Tensor", "record", "backward_steps", "no_grad", "detect_anomaly", "gradcheck",
    "functional", "nn", "optim",
]  # fmt: skip
