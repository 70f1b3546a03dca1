"""Argument checks beyond those of `inputs.py`, and their error messages.

You can skip this file on a first reading.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.backend import Array
from minivision.errors import kind
from minivision.functional.inputs import broadcasts, pair, sizes, tensors
from minivision.tensor import Tensor
from minivision.windows import Window

Pair = int | tuple[int, int]
Axis = int | tuple[int, ...] | None


def normalized_axes(function: str, axis: Any, ndim: int, argument: str = "axis") -> tuple[int, ...]:
    """The argument axis (None, a number or a tuple) as distinct numbers from 0 to ndim - 1."""
    if axis is None:
        return tuple(range(ndim))
    try:
        given = tuple(map(operator.index, axis if isinstance(axis, Sequence) else (axis,)))
    except TypeError:
        raise TypeError(
            f"{function}: {argument} is {axis!r}; expected an integer, a tuple of integers or None"
        ) from None
    axes = tuple(i + ndim if i < 0 else i for i in given)
    if any(not 0 <= i < ndim for i in axes) or len(set(axes)) != len(axes):
        what = "an axis" if len(given) == 1 else "distinct axes"
        raise ValueError(
            f"{function}: {argument} is {axis!r}; expected {what} from {-ndim} to {ndim - 1}"
        )
    return axes


def convolution_window(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair | str,
    dilation: Pair,
    groups: int,
) -> Window:
    (_, C, H, W), (F, D, KH, KW) = x.shape, weight.shape
    if min(weight.shape) < 1:
        raise ValueError(
            f"conv2d: weight has shape {weight.shape}; expected at least 1 along every axis"
        )
    window = make_window("conv2d", (KH, KW), stride, padding, dilation)
    if not isinstance(groups, int | np.integer) or groups < 1 or C % groups or F % groups:
        raise ValueError(
            f"conv2d: groups is {groups!r}; expected a number that divides "
            f"the {C} channels of x and the {F} filters of weight"
        )
    if D * groups != C:
        raise ValueError(
            f"conv2d: x has {C} channels but weight expects {D * groups} "
            f"(weight {weight.shape}, groups={groups})"
        )
    if bias is not None and bias.shape != (F,):
        raise ValueError(f"conv2d: bias has shape {bias.shape}; expected ({F},)")
    if min(window.output_size(H, W)) < 1:
        raise ValueError(
            f"conv2d: the kernel ({KH}x{KW}, dilation {window.dilation}) is larger than the "
            f"padded image ({H}x{W}, padding {window.padding})"
        )
    return window


def make_window(
    function: str, kernel_size: Pair, stride: Pair, padding: Pair | str, dilation: Pair = 1
) -> Window:
    """A checked Window. padding="same" adds the border that preserves the size of the image."""
    window = Window(
        pair(function, "kernel_size", kernel_size, least=1),
        pair(function, "stride", stride, least=1),
        (0, 0) if padding == "same" else pair(function, "padding", padding, least=0),
        pair(function, "dilation", dilation, least=1),
    )
    if padding != "same":
        return window
    if window.stride != (1, 1):
        raise ValueError(
            f'{function}: padding is "same" with stride {window.stride}; expected stride 1'
        )
    border = [d * (k - 1) for k, d in zip(window.kernel, window.dilation, strict=True)]
    if any(n % 2 for n in border):
        raise ValueError(
            f'{function}: padding is "same" with kernel size {window.kernel}; expected odd sizes '
            "(or pad the image with F.pad, by different amounts on opposite sides)"
        )
    return window._replace(padding=(border[0] // 2, border[1] // 2))


def pooling_window(
    function: str, x: Tensor | Array, kernel_size: Pair, stride: Pair | None, padding: Pair
) -> tuple[Tensor, Window]:
    (x,) = tensors(function, x=x)
    N, C, H, W = sizes(function, "x", x, "N C H W")
    KH, KW = pair(function, "kernel_size", kernel_size, least=1)
    SH, SW = pair(function, "stride", (KH, KW) if stride is None else stride, least=1)
    PH, PW = pair(function, "padding", padding, least=0)
    if 2 * PH > KH or 2 * PW > KW:
        raise ValueError(
            f"{function}: padding is {(PH, PW)}; expected at most half of kernel_size {(KH, KW)}"
        )
    window = Window((KH, KW), (SH, SW), (PH, PW))
    if min(window.output_size(H, W)) < 1:
        raise ValueError(
            f"{function}: the kernel ({KH}x{KW}) is larger than the padded image "
            f"({H}x{W}, padding {(PH, PW)})"
        )
    return x, window


def constant(function: str, name: str, value: Any) -> Any:
    """The array of an argument that receives no gradient; ValueError if it requires one."""
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise ValueError(f"{function}: {name} requires a gradient; pass {name}.detach()")
        return value.data
    return value


def check_parts(function: str, parts: Any, axis: int, added: int) -> tuple[list[Tensor], int]:
    """The checked parts, and the axis counted from the front."""
    try:
        parts = list(parts)
    except TypeError:
        raise TypeError(f"{function}: parts is {kind(parts)}; expected a list of Tensors") from None
    if not parts:
        raise ValueError(f"{function}: parts is empty; expected at least one Tensor")
    checked = tensors(function, **{f"parts[{i}]": part for i, part in enumerate(parts)})
    if axis is None:
        raise TypeError(f"{function}: axis is None; expected an integer")
    (axis,) = normalized_axes(function, axis, checked[0].ndim + added)
    for i, part in enumerate(checked):
        ours, first = list(part.shape), list(checked[0].shape)
        if not added and len(ours) == len(first):
            ours[axis] = first[axis] = 0
        if ours != first:
            where = "" if added else f" except along axis {axis}"
            raise ValueError(
                f"{function}: parts[{i}] has shape {part.shape} and parts[0] {checked[0].shape}; "
                f"expected equal shapes{where}"
            )
    return checked, axis


def takes_channels(index: tuple) -> bool:
    """Whether an index selects channels and keeps the whole batch and all pixels, as x[:, :8] does.

    >>> takes_channels((slice(None), slice(0, 8))), takes_channels((..., slice(None, None, -1)))
    (True, False)
    """
    return all(
        isinstance(part, slice) and (axis == 1 or part == slice(None))
        for axis, part in enumerate(index)
    )


def class_axis(function: str, axis: int, logits: Tensor) -> int:
    axes = normalized_axes(function, axis, logits.ndim)
    if len(axes) != 1:
        raise ValueError(f"{function}: axis is {axis}; expected a single axis")
    if logits.shape[axes[0]] == 0:
        raise ValueError(
            f"{function}: logits has shape {logits.shape}; expected at least one class "
            f"along axis {axis}"
        )
    return axes[0]


def new_shape(x: Tensor, shape: Any) -> tuple[int, ...]:
    """The shape that `reshape` is given, as numbers or as one tuple; one size may be -1."""
    new = tuple(shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape)
    known = math.prod([n for n in new if n != -1])
    fits = known == x.size if -1 not in new else known > 0 and x.size % known == 0
    if not fits or new.count(-1) > 1 or any(n < -1 for n in new):
        raise ValueError(
            f"reshape: shape is {new}; expected one that holds the {x.size} entries of x {x.shape}"
        )
    return new


def order_of_axes(function: str, axes: Any, ndim: int) -> tuple[int, ...]:
    """All axes in a new order; reversed by default."""
    if axes is None:
        return tuple(range(ndim))[::-1]
    order = normalized_axes(function, axes, ndim, "axes")
    if len(order) != ndim:
        raise ValueError(f"{function}: axes is {axes}; expected each of the {ndim} axes once")
    return order


def entries(function: str, x: Tensor, axes: tuple[int, ...], axis: Axis) -> int:
    """How many entries are combined into one; ValueError if there are none."""
    n = math.prod([x.shape[i] for i in axes])
    if n == 0:
        where = "" if axis is None else f" along axis {axis}"
        raise ValueError(f"{function}: x has shape {x.shape}; expected at least one entry{where}")
    return n


def check_product(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    """Raise ValueError if a @ b does not exist for arrays of these shapes."""
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else 0]:
        raise ValueError(f"matmul: a has shape {a} and b {b}; expected (…, M) @ (M, …)")
    if len(a) > 2 and not broadcasts(a[:-2], b[:-2]):
        raise ValueError(
            f"matmul: a has shape {a} and b {b}; the axes before the last two must broadcast"
        )


def check_probability(function: str, p: float) -> None:
    if not 0 <= p < 1:
        raise ValueError(f"{function}: p is {p}; expected 0 <= p < 1")


def check_generator(function: str, rng: Any) -> np.random.Generator:
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{function}: rng is {kind(rng)}; expected np.random.default_rng(seed)")
    return rng
