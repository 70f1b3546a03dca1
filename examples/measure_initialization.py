"""What the initial weights do to a deep network: signals by depth, and which networks train.

    python examples/measure_initialization.py [--seeds 0 1 2] [--device auto]

Signals: noise is sent through stacks of 32 convolutions of 3x3, each followed by a ReLU, with 16
and with 64 maps, and through the 16 convolutions of VGG-E in the widths of the paper. Then noise is
sent back from the last convolution. For every convolution, a row records the root mean square of
its output, before the ReLU, and of the gradient with respect to that output.

Training: VGG-A and VGG-E with few maps and the average head are trained on the digits, for 320
steps of SGD with momentum 0.9. "E from A" is the remedy in the paper (§3.1): E's weights are drawn
like A's, and then its first four convolutions and its linear layer are replaced by those of a
trained A with the same seed. Each learning rate in RATES is tried with the seeds in CHOOSING for A
and for E, and the rate with the lowest mean validation loss is used; "E from A" uses E's rate. (The
number of steps, the widths and the rates were fixed beforehand with seed 100: at 0.05, an E with
He's initialization did not learn.) A run whose loss is not finite is recorded as `diverged`. All
biases are 0. Finished rows are kept, unless a different rate has been chosen since. Writes
docs/results/initialization.json.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import math
import time
from functools import partial

import numpy as np
from recording import RESULTS, provenance, read_rows, write_rows

from minivision import Tensor, manual_seed
from minivision.backend import resolve_device, to_device, to_host
from minivision.datasets import DataLoader, load_dataset
from minivision.models.vgg import CONFIGURATIONS, vgg_network
from minivision.nn import Conv2d, ReLU, Sequential, initialize, skip_init
from minivision.nn.initializers import he_normal, normal
from minivision.optim import SGD
from minivision.training import classification_loss, evaluate, fit
from minivision.transforms import Compose, Normalize, Pad, ToArray

RESULT = RESULTS / "initialization.json"
RULES = {"0.01": normal(0.01), "0.1": normal(0.1), "0.3": normal(0.3), "He": he_normal}
STACKS = {"16 maps": 16, "64 maps": 64}
DEPTH = 32
WIDTHS = (8, 16, 16, 32, 32)  # of the networks that are trained
EPOCHS, BATCH_SIZE, MOMENTUM = 8, 32, 0.9  # 320 steps
RATES = (0.01, 0.03)
CHOOSING = (100, 101, 102)  # the seeds that choose a rate
TRAINED = {
    "0.01": ("A", "E", "E from A"),
    "0.1": ("A", "E", "E from A"),
    "0.3": ("E",),
    "He": ("E",),
}


def drawn_by(rule, build):
    """The network of build(), with all weights drawn by one rule."""
    with skip_init():
        model = build()
    initialize(model, RULES[rule])
    return model


def stack(maps):
    """32 convolutions with a ReLU after each."""
    convolutions = [Conv2d(maps, maps, 3, padding=1) for _ in range(DEPTH)]
    return Sequential(*[layer for conv in convolutions for layer in (conv, ReLU())])


def signals(network, rule, seed, device):
    """One row: how strong the signal and the gradient are at every convolution."""
    with manual_seed(seed) as rng:
        if network in STACKS:
            maps = STACKS[network]
            features, shape = drawn_by(rule, partial(stack, maps)), (4, maps, 16, 16)
        else:
            build = partial(vgg_network, "E", head="average")
            features, shape = drawn_by(rule, build).features, (1, 3, 64, 64)
    x = Tensor(to_device(rng.normal(size=shape).astype(np.float32), device), requires_grad=True)
    outputs = []
    for layer in features.to(device):
        x = layer(x)
        if isinstance(layer, Conv2d):
            outputs.append(x.retain_grad())
    noise = rng.normal(size=outputs[-1].shape).astype(np.float32)
    outputs[-1].backward(to_device(noise, device))
    return {
        "kind": "signal",
        "network": network,
        "rule": rule,
        "seed": seed,
        "output": [root_mean_square(y.data) for y in outputs],
        "gradient": [root_mean_square(y.grad) for y in outputs],
    }


def root_mean_square(array):
    """In float64, in which the squares of small numbers are not 0."""
    return float(np.sqrt(np.mean(to_host(array).astype(np.float64) ** 2)))


def places(model, configuration):
    """The convolutions by position, (block, number in the block)."""
    convolutions = [layer for layer in model.features if isinstance(layer, Conv2d)]
    names = [(b, i) for b, c in enumerate(CONFIGURATIONS[configuration]) for i in range(len(c))]
    return dict(zip(names, convolutions, strict=True))


def borrow(model, shallow):
    """Copy the first four convolutions and the linear layer of a trained A into E."""
    deep, learned = places(model, "E"), places(shallow, "A")
    pairs = [(deep[place], learned[place]) for place in list(learned)[:4]]
    for layer, source in [*pairs, (model.classifier[0], shallow.classifier[0])]:
        layer.load_state_dict(source.state_dict())


def network(configuration, rule, seed):
    """A or E with few maps."""
    build = partial(vgg_network, configuration, 10, in_channels=1, widths=WIDTHS, head="average")
    with manual_seed(seed):
        return drawn_by(rule, build)


def train(name, rule, rate, seed, device):
    """(a row, the model): A or E after its steps, or E started from an A that is in `models`."""
    begun = time.perf_counter()
    model = network(name[0], rule, seed)
    if name == "E from A":
        borrow(model, models[rule, seed])
    batches = DataLoader(LEARNED, BATCH_SIZE, shuffle=True, seed=seed, transform=PREPARE)
    row = {"kind": "training", "network": name, "rule": rule, "lr": rate, "seed": seed}
    row |= {"steps": EPOCHS * len(batches(0)), "parameters": model.parameter_count()}
    optimizer = SGD(model.parameters(), rate, MOMENTUM)
    try:
        fit(model, batches, classification_loss, optimizer, EPOCHS, seed=seed, device=device)
    except FloatingPointError:
        return {**row, "diverged": True}, model
    for part, data in (("train", LEARNED), ("validation", VALIDATION)):
        found = evaluate(model, DataLoader(data, 500, transform=PREPARE))
        row |= {f"{part}_{quantity}": value for quantity, value in found.items()}
    return {**row, "seconds": round(time.perf_counter() - begun, 1)}, model


def finished(make, **key):
    """The row of this run; it is measured and written if it does not exist yet."""
    for row in rows:
        if all(row.get(name) == value for name, value in key.items()):
            return row
    row = make() | provenance()
    rows.append(row)
    write_rows(RESULT, rows)
    return row


def trained(name, rule, rate, seed):
    """The row of a training run; an A is kept in `models`, and retrained after an interruption."""

    def make():
        if name == "E from A" and (rule, seed) not in models:
            models[rule, seed] = train("A", rule, rates["A", rule], seed, device)[1]
        row, model = train(name, rule, rate, seed, device)
        if name == "A" and seed not in CHOOSING:
            models[rule, seed] = model
        shown = f"validation loss {row.get('validation_loss', math.nan):.3f}"
        print(f"{name:<9} {rule:>5}  rate {rate:<5g} seed {seed:>3}  {shown}", flush=True)
        return row

    return finished(make, kind="training", network=name, rule=rule, lr=rate, seed=seed)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
parser.add_argument("--device", default="auto")
arguments = parser.parse_args()
device = resolve_device(arguments.device)
if set(CHOOSING) & set(arguments.seeds):
    parser.error(f"the seeds {CHOOSING} are for choosing the rate")

rows, models, rates = read_rows(RESULT), {}, {}
LEARNED, VALIDATION, _ = load_dataset("digits")
pixels = LEARNED.images / 255
PREPARE = Compose(
    [Pad((32, 32)), ToArray(), Normalize(pixels.mean().round(4), pixels.std().round(4))]
)

print("output: the last convolution's over the first's; gradient: the first's over the last's")
for name in (*STACKS, "VGG-E"):
    for rule in RULES:
        found = [
            finished(
                lambda: signals(name, rule, seed, device),  # noqa: B023 (called at once)
                kind="signal", network=name, rule=rule, seed=seed,
            )
            for seed in arguments.seeds
        ]  # fmt: skip
        forward = [row["output"][-1] / row["output"][0] for row in found]
        backward = [row["gradient"][0] / row["gradient"][-1] for row in found]
        print(f"{name:<9} {rule:>5}", " ".join(f"{r:9.1e}" for r in forward), "  gradient",
              " ".join(f"{r:9.1e}" for r in backward))  # fmt: skip

print(f"losses of guessing: ln(10) = {math.log(10):.3f}")
for rule in RULES:
    for name in TRAINED[rule]:
        if name == "E from A":
            rates[name, rule] = rates["E", rule]
        else:
            losses = {
                rate: np.mean([
                    trained(name, rule, rate, seed).get("validation_loss", math.inf)
                    for seed in CHOOSING
                ])
                for rate in RATES
            }  # fmt: skip
            rates[name, rule] = min(losses, key=losses.get)
        counted = [trained(name, rule, rates[name, rule], seed) for seed in arguments.seeds]
        losses = np.array([row.get("train_loss", math.nan) for row in counted])
        right = np.array([row.get("validation_accuracy", math.nan) for row in counted])
        print(f"{name:<9} {rule:>5}  rate {rates[name, rule]:g}: training loss {losses.mean():.3f}"
              f" ({', '.join(f'{loss:.3f}' for loss in losses)}), validation {right.mean():.1%}",
              flush=True)  # fmt: skip
chosen = [
    row for row in rows
    if row["kind"] == "signal" or row["seed"] in CHOOSING
    or row["lr"] == rates[row["network"], row["rule"]]
]  # fmt: skip
write_rows(RESULT, chosen)
print(RESULT)
