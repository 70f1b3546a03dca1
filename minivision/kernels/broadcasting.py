"""The adjoint of broadcasting: what was repeated on the way in is summed on the way back.

The adjoint of a linear map A is the map Aᵀ for which ⟨Ax, y⟩ = ⟨x, Aᵀy⟩ for all x and y, where
⟨u, v⟩ is the sum of all products of corresponding entries. If y = Ax, then dx = Aᵀ dy: the gradient
of a linear function is its adjoint, and the same pair of functions serves both directions.

Read next: kernels/windows.py
"""

from __future__ import annotations

from minivision.backend import Array


def broadcasts(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes go together: from the last axis on, sizes are equal or one of them is 1.

    >>> broadcasts((4, 2, 3), (2, 1)), broadcasts((4, 2, 3), (4, 2))
    (True, False)
    """
    return all([m == n or 1 in (m, n) for m, n in zip(one[::-1], other[::-1], strict=False)])


def unbroadcast(dy: Array, shape: tuple[int, ...]) -> Array:
    """Sum dy over the axes along which an array of this shape was repeated to give dy's shape.

    >>> import numpy as np
    >>> unbroadcast(np.ones((4, 2, 3)), (2, 1)).tolist()
    [[12.0], [12.0]]
    """
    if dy.shape == shape:
        return dy
    added = dy.ndim - len(shape)
    stretched = [added + i for i, n in enumerate(shape) if n == 1 and dy.shape[added + i] != 1]
    return dy.sum(axis=(*range(added), *stretched)).reshape(shape)
