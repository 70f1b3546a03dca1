"""minivision: a computer-vision course that runs.

Read it in the order of `contents.py`: five chapters lead from the first array to a network that
learns. These are the files and packages:

    backend.py     NumPy or CuPy
    random.py      the random generator that layers share, and keyed generators
    autograd.py    the graph, and the backward pass
    tensor.py      Tensor and record
    errors.py      what the engine checks, and its error messages
    functional/    differentiable functions: value and gradient side by side
    windows.py     the windows of convolution and pooling
    gradcheck.py   is the gradient right?
    nn/            layers hold parameters and call one function
    optim/         SGD, Adam, schedules
    models/        networks, written out as their figures show them
    transforms/    images to arrays; augmentation
    datasets/      digits, MNIST, your own folder; splits; the DataLoader
    training/      the loop, metrics, checkpoints, a run's folder
    analysis/      pictures and checks
    methods/       what to do with few images or few labels
    cli/           one file per command
    fast/          faster implementations of the same functions

A training loop of your own, on a batch of noise (`training.fit` is one with everything around it):

    >>> import numpy as np
    >>> from minivision import Tensor, functional as F, manual_seed, nn, optim
    >>> with manual_seed(0) as rng:
    ...     images, labels = rng.normal(size=(32, 1, 8, 8)).astype("float32"), np.arange(32) % 4
    ...     layers = nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    ...     model = nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(72, 4))
    ...     optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    ...     for step in range(60):
    ...         optimizer.zero_grad()
    ...         loss = F.cross_entropy(model(Tensor(images)), labels)
    ...         loss.backward()
    ...         optimizer.step()
    >>> bool(loss.item() < 0.5)
    True

`import minivision` brings in the engine, nn and optim. The packages that need OpenCV, matplotlib or
scikit-learn are imported by name: `from minivision.datasets import digits`.
"""

from minivision import functional, nn, optim
from minivision.anomaly import detect_anomaly
from minivision.autograd import backward_steps, no_grad
from minivision.gradcheck import gradcheck
from minivision.random import manual_seed
from minivision.tensor import Tensor, record

__version__ = "0.2.0"

__all__ = [
    "Tensor", "record", "backward_steps", "no_grad", "detect_anomaly", "gradcheck", "manual_seed",
    "functional", "nn", "optim",
]  # fmt: skip
