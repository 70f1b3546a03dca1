"""minivision: a computer-vision course that runs."""

from minivision import functional
from minivision.autograd import Tensor, backward_steps, detect_anomaly, no_grad, record

__all__ = ["Tensor", "backward_steps", "detect_anomaly", "functional", "no_grad", "record"]
