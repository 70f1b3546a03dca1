"""Show what augmentation does to an image: a sheet of augmented copies with their random values.

  minivision augment cat.jpg                             RandAugment: 2 operations, magnitude 9
  minivision augment cat.jpg --policy flip+crop+jitter   the policy of `train --augment`
  minivision augment cat.jpg --histogram                 also how often each brightness occurs
  minivision augment cat.jpg --count 3 --magnitude 20    more operations, and stronger ones
  minivision augment cat.jpg --preset noisy_student --magnitude 27
  minivision augment cat.jpg --sweep                     every operation from magnitude 0 to 30
  minivision augment --describe --magnitude 9            what a magnitude means, in numbers

The same seed gives the same copies. To train with a policy: `minivision train --augment POLICY`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from minivision.analysis.augmentation import plot_augmented, plot_magnitudes
from minivision.analysis.plots import save_figure
from minivision.cli.policy import EXPLAINED, STEPS, read_policy
from minivision.datasets import read_image
from minivision.transforms import Compose, RandAugment
from minivision.transforms.randaugment import PRESETS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "image", type=Path, nargs="?", metavar="IMAGE", help="a colour image: PNG, JPEG, …"
    )
    parser.add_argument(
        "--policy",
        help=f"names joined by +, from {', '.join(STEPS)}; or a file from search-augmentation",
    )
    parser.add_argument("--count", type=int, default=2, help="operations per image (default: 2)")
    parser.add_argument("--magnitude", type=float, default=9, help="0 to 30 (default: 9)")
    parser.add_argument(
        "--preset", choices=PRESETS, default="monotone", help="the operations (default: monotone)"
    )
    parser.add_argument("--fill", type=int, default=128, help="fill value (default: 128)")
    parser.add_argument("--copies", type=int, default=17, help="number of copies (default: 17)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument("--sweep", action="store_true", help="draw each operation, weak to strong")
    parser.add_argument("--histogram", action="store_true", help="draw a histogram below each copy")
    parser.add_argument("--describe", action="store_true", help="print the strengths as numbers")
    parser.add_argument(
        "--out", type=Path, metavar="PNG", help="the file to write (default: augmented-NAME.png)"
    )
    parser.epilog = EXPLAINED


def run(arguments: argparse.Namespace) -> None:
    randaugment = RandAugment(
        arguments.count, arguments.magnitude, arguments.preset, arguments.fill
    )
    if arguments.image is None and not arguments.describe:
        raise ValueError("no image is given; name a file, or use --describe")
    size = (32, 32)
    if arguments.image is not None:
        image = read_image(arguments.image, channels=3)
        size = image.shape[:2]
    if arguments.describe:
        print(f"on an image of {size[0]}x{size[1]}, magnitude {arguments.magnitude:g}:")
        print(randaugment.describe(size))
    if arguments.image is None:
        return
    if arguments.sweep:
        figure = plot_magnitudes(image, arguments.preset)
    else:
        transform = _transform(arguments.policy, size, randaugment)
        figure = plot_augmented(
            image, transform, arguments.copies, arguments.seed, histograms=arguments.histogram
        )
    page = arguments.out or Path(f"augmented-{arguments.image.stem}.png")
    save_figure(figure, page)
    print(f"see {page}")


def _transform(policy: str | None, size: tuple[int, int], randaugment: RandAugment) -> Compose:
    """The transform specified on the command line, for one image at a time."""
    if policy is None:
        return Compose([randaugment])
    steps, mixer = read_policy("--policy", policy, (*size, 3))
    if mixer:
        raise ValueError(
            f"--policy: {mixer} mixes the images in a batch, but there is only one image; leave it "
            f"out here, and use it in training: minivision train --augment {policy}"
        )
    return Compose(steps)
