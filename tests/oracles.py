"""What the functions mean, as loops a beginner can check. Slow, and that does not matter here.

Everything is computed entry by entry in Python's float64; nothing is shared with minivision.
"""

import math

import numpy as np


def output_size(n, kernel, stride, padding, dilation=1):
    """How many positions a window of `kernel` taps has along n pixels: try them all."""
    positions = 0
    start = -padding
    while start + dilation * (kernel - 1) <= n - 1 + padding:
        positions += 1
        start += stride
    return positions


def pixel(image, row, column, outside=0.0):
    """image[row, column], or `outside` where there is no such pixel."""
    H, W = image.shape
    inside = 0 <= row < H and 0 <= column < W
    return float(image[row, column]) if inside else outside


def positions(H, W, kernel, stride, padding, dilation=(1, 1)):
    """Yield (i, j, taps): for output pixel (i, j) its list of (u, v, row, column)."""
    (KH, KW), (SH, SW), (PH, PW), (DH, DW) = kernel, stride, padding, dilation
    for i in range(output_size(H, KH, SH, PH, DH)):
        for j in range(output_size(W, KW, SW, PW, DW)):
            yield (
                i,
                j,
                [
                    (u, v, i * SH + u * DH - PH, j * SW + v * DW - PW)
                    for u in range(KH)
                    for v in range(KW)
                ],
            )


def conv2d(x, weight, bias, stride, padding, dilation, groups):
    N, C, H, W = x.shape
    F, channels, KH, KW = weight.shape
    OH = output_size(H, KH, stride[0], padding[0], dilation[0])
    OW = output_size(W, KW, stride[1], padding[1], dilation[1])
    y = np.zeros((N, F, OH, OW))
    for n in range(N):
        for f in range(F):
            group = f // (F // groups)
            for i, j, taps in positions(H, W, (KH, KW), stride, padding, dilation):
                total = 0.0 if bias is None else float(bias[f])
                for c in range(channels):
                    image = x[n, group * channels + c]
                    for u, v, row, column in taps:
                        total += float(weight[f, c, u, v]) * pixel(image, row, column)
                y[n, f, i, j] = total
    return y


def pool2d(x, kernel, stride, padding, summary, outside):
    """summary(list of numbers) of every window; the border counts as `outside`."""
    N, C, H, W = x.shape
    OH = output_size(H, kernel[0], stride[0], padding[0])
    OW = output_size(W, kernel[1], stride[1], padding[1])
    y = np.zeros((N, C, OH, OW))
    for n in range(N):
        for c in range(C):
            for i, j, taps in positions(H, W, kernel, stride, padding):
                values = [pixel(x[n, c], row, column, outside) for _, _, row, column in taps]
                y[n, c, i, j] = summary(values)
    return y


def max_pool2d(x, kernel, stride, padding):
    return pool2d(x, kernel, stride, padding, max, -math.inf)


def avg_pool2d(x, kernel, stride, padding):
    return pool2d(x, kernel, stride, padding, lambda window: sum(window) / len(window), 0.0)


def max_pool2d_gradient(dy, x, kernel, stride, padding):
    """Each dy goes to the first largest pixel of its window, in reading order."""
    N, C, H, W = x.shape
    dx = np.zeros(x.shape)
    for n in range(N):
        for c in range(C):
            for i, j, taps in positions(H, W, kernel, stride, padding):
                inside = [(r, k) for _, _, r, k in taps if 0 <= r < H and 0 <= k < W]
                first = max(inside, key=lambda place: x[n, c][place])  # max keeps the first
                dx[n, c][first] += dy[n, c, i, j]
    return dx


def im2col(x, kernel, stride, padding, dilation):
    """(C·KH·KW, OH·OW·N): row (c, u, v), column (i, j, n)."""
    N, C, H, W = x.shape
    columns = []
    for _, _, taps in positions(H, W, kernel, stride, padding, dilation):
        for n in range(N):
            columns.append(
                [pixel(x[n, c], row, column) for c in range(C) for _, _, row, column in taps]
            )
    return np.array(columns).reshape(-1, C * kernel[0] * kernel[1]).T


def matmul(a, b):
    R, M = a.shape
    _, S = b.shape
    y = np.zeros((R, S))
    for r in range(R):
        for s in range(S):
            for m in range(M):
                y[r, s] += float(a[r, m]) * float(b[m, s])
    return y


def linear(x, weight, bias):
    y = np.zeros((len(x), len(weight)))
    for n in range(len(x)):
        for o in range(len(weight)):
            y[n, o] = 0.0 if bias is None else float(bias[o])
            for i in range(x.shape[1]):
                y[n, o] += float(weight[o, i]) * float(x[n, i])
    return y


def softmax(row, temperature=1.0):
    """One row of scores as probabilities."""
    powers = [math.exp(float(z) / temperature) for z in row]
    return [power / sum(powers) for power in powers]


def cross_entropy(logits, targets):
    """The mean of -log q at the label, or of -Σ p log q for soft targets (N, K)."""
    surprise = 0.0
    for row, target in zip(logits, targets, strict=True):
        q = softmax(row)
        if np.ndim(target) == 0:
            surprise -= math.log(q[int(target)])
        else:
            surprise -= sum(float(p) * math.log(q_k) for p, q_k in zip(target, q, strict=True))
    return surprise / len(logits)


def reduce_over(x, axes, summary):
    """summary(list of numbers) over the axes, which are kept with size 1."""
    y = np.zeros([1 if i in axes else n for i, n in enumerate(x.shape)])
    for place in np.ndindex(y.shape):
        values = [
            float(x[other])
            for other in np.ndindex(x.shape)
            if all(i in axes or other[i] == place[i] for i in range(x.ndim))
        ]
        y[place] = summary(values)
    return y
