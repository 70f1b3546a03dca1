"""Dense, locally connected and convolutional first layers, trained on 1,000 digits from MNIST.

    python examples/measure_first_layers.py [--only KIND ...] [--seeds 0 1 2 3 4]

The three networks differ only in the first layer (see models/softmax_regression.py). It has 6 maps
of 24x24 units, and is followed by ReLU, 2x2 max pooling and one fully connected layer. Each is
trained for 30 epochs of Adam with batches of 50 and half a cosine. The learning rate is chosen as
described in experiment.py, with three seeds. Writes docs/results/first_layers.json.
"""

from functools import partial

from experiment import Experiment, Images

from minivision.models.softmax_regression import FIRST_LAYERS, first_layer_network
from minivision.optim import Adam


def measure(kind, images, rate, seed):
    """One row, which also says how many parameters the first layer has."""
    build = partial(first_layer_network, kind)
    row = images.trained(build, rate, seed, images=1_000, epochs=30, batch_size=50, optimizer=Adam)
    return row | {"first_layer_parameters": build().features[0].parameter_count()}


if __name__ == "__main__":
    experiment = Experiment(__doc__, "first_layers", FIRST_LAYERS)
    images = Images("mnist", experiment.device)
    for kind in experiment.only:
        key = {"first_layer": kind}
        experiment.compare(key, partial(measure, kind, images), 0.01, choosing=3)
