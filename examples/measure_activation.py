"""ReLU compared with tanh, as in 2012: epochs until the training error is 25 %.

    python examples/measure_activation.py [--only START ...] [--seeds 0 1 2 3 4]

Krizhevsky et al. 2012 (Fig. 1) count the epochs that a network of four layers needs for a training
error of 25 % on CIFAR-10, without regularization, each activation at its fastest learning rate. We
do the same on 2,500 images (JPEG), with SGD with momentum 0.9 and batches of 64, and two starts:

    2012    pixels minus their mean, not divided; all weights from N(0, 0.01²)
    today   standardized pixels; He's weights for ReLU, Glorot's for tanh

A run ends when an epoch, measured while the network learns, has at most 25 % errors; a run that
does not reach it counts as LONGEST epochs. Within the last epoch we interpolate. The learning rate
that needs the fewest epochs with a choosing seed is used; the search is described in experiment.py.
A row also records the share of units in a flat part of the activation after the first epoch: an
output of tanh above 0.95 or below -0.95, an output of ReLU of 0. Writes
docs/results/activation.json.
"""

import time
from functools import partial

import numpy as np
from experiment import Experiment, Images, momentum_sgd, work_of

from minivision import Tensor, manual_seed
from minivision.autograd import no_grad
from minivision.datasets import DataLoader, stratified_split
from minivision.models.network import Network
from minivision.nn import Conv2d, Linear, MaxPool2d, ReLU, Sequential, Tanh, initialize, skip_init
from minivision.nn.initializers import glorot_uniform, he_normal, normal
from minivision.training import classification_loss, fit
from minivision.transforms import Compose, Normalize, ToArray

IMAGES, BATCH_SIZE, LONGEST, ERROR = 2_500, 64, 30, 0.25
LADDER = tuple(0.00025 * 2**step for step in range(12))  # up to 0.512
ACTIVATIONS = {"relu": (ReLU, he_normal), "tanh": (Tanh, glorot_uniform)}
STARTS = {"2012": 0.002, "today": 0.016}  # and the learning rate that is tried first


def network(activation, start):
    """Krizhevsky's small network: 5x5 convolutions, overlapping pooling and one linear layer."""
    layers, channels = [], 3
    unit, todays_weights = ACTIVATIONS[activation]
    with skip_init():
        for filters in (32, 32, 64):
            layers += [Conv2d(channels, filters, 5, padding=2), unit(), MaxPool2d(3, 2, padding=1)]
            channels = filters
        model = Network(Sequential(*layers), Sequential(Linear(64 * 16, 10)), (3, 32, 32))
    initialize(model, normal(0.01) if start == "2012" else todays_weights)
    return model


def in_flat_part(model, images):
    """The share of units whose activation hardly changes with its input."""
    shares, x = [], Tensor(images)
    with no_grad():
        for layer in model.features:
            x = layer(x)
            if isinstance(layer, Tanh):
                shares.append(np.mean(np.abs(x.data) > 0.95))
            elif isinstance(layer, ReLU):
                shares.append(np.mean(x.data == 0))
    return float(np.mean(shares))


def measure(activation, start, images, rate, seed):
    """One row: the training error of every epoch, until it is small enough."""
    begun = time.perf_counter()
    (train,) = stratified_split(images.splits.train, (IMAGES,), seed=seed)
    deviation = np.full(3, 1 / 255) if start == "2012" else images.std
    with manual_seed(seed):
        model = network(activation, start)
    prepare = Compose([ToArray(), Normalize(images.mean, deviation)])
    loader = DataLoader(train, BATCH_SIZE, shuffle=True, seed=seed, transform=prepare)
    optimizer, errors, flat = momentum_sgd(model.parameters(), rate), [1.0], None
    try:
        for epoch in range(LONGEST):
            record = fit(
                model, lambda _, epoch=epoch: loader(epoch), classification_loss, optimizer, 1,
                seed=seed, device=images.device,
            )  # fmt: skip
            errors.append(1 - record["train_accuracy"][-1])
            if epoch == 0:
                flat = in_flat_part(model, next(iter(loader(0)))[0])
            if errors[-1] <= ERROR:
                break
    except FloatingPointError:
        errors.append(1.0)
    *_, before, last = errors
    reached = len(errors) - 1 - (ERROR - last) / (before - last) if last <= ERROR else LONGEST
    epochs = len(errors) - 1
    return work_of(model, epochs * len(loader), epochs * IMAGES) | {
        "epochs_needed": reached,
        # A run that was too slow is better than one that diverged: the score says by how much.
        "score": -reached - (last if last > ERROR else 0),
        "train_errors": errors[1:],
        "train_accuracy": 1 - last,
        "in_flat_part": flat,
        "seconds": round(time.perf_counter() - begun, 1),
    }


if __name__ == "__main__":
    experiment = Experiment(__doc__, "activation", STARTS)
    images = Images("cifar10-jpeg", experiment.device)
    for start in experiment.only:
        for activation in ACTIVATIONS:
            experiment.compare(
                {"start": start, "activation": activation},
                partial(measure, activation, start, images),
                STARTS[start],
                LADDER,
                by="score",
            )
