"""Networks: each a table from its paper and a loop that builds it.

    network.py  Network: features, flatten, classifier
    lenet.py    lenet5, lenet5_lecture

`MODELS` names them for the command line.

Read next: models/network.py
"""

from collections.abc import Callable

from minivision.models.lenet import lenet5, lenet5_lecture
from minivision.models.network import Network

MODELS: dict[str, Callable[..., Network]] = {
    "lenet5": lenet5,
    "lenet5_lecture": lenet5_lecture,
}

__all__ = ["MODELS", "Network", "lenet5", "lenet5_lecture"]
