"""What the functions mean, as loops that a beginner can check. They may be slow.

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
    """(C·KH·KW, N·OH·OW): row (c, u, v), column (n, i, j)."""
    N, C, H, W = x.shape
    columns = []
    for n in range(N):
        for _, _, taps in positions(H, W, kernel, stride, padding, dilation):
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


# ── local windows ────────────────────────────────────────────────────────────────────────────


def unfold(x, kernel, stride, padding, dilation):
    """(N, C·KH·KW, OH·OW): every window of every image, as a column."""
    N, C, H, W = x.shape
    places = list(positions(H, W, kernel, stride, padding, dilation))
    taps_each = kernel[0] * kernel[1]
    y = np.zeros((N, C * taps_each, len(places)))
    for n in range(N):
        for place, (_, _, taps) in enumerate(places):
            for c in range(C):
                for t, (_, _, row, column) in enumerate(taps):
                    y[n, c * taps_each + t, place] = pixel(x[n, c], row, column)
    return y


def fold(columns, size, kernel, stride, padding, dilation):
    """Add every column to its window; where windows overlap, the numbers are summed."""
    taps_each = kernel[0] * kernel[1]
    N, rows, _ = columns.shape
    C = rows // taps_each
    y = np.zeros((N, C, *size))
    for n in range(N):
        for place, (_, _, taps) in enumerate(positions(*size, kernel, stride, padding, dilation)):
            for c in range(C):
                for t, (_, _, row, column) in enumerate(taps):
                    if 0 <= row < size[0] and 0 <= column < size[1]:
                        y[n, c, row, column] += columns[n, c * taps_each + t, place]
    return y


def locally_connected2d(x, weight, bias, stride, padding):
    """A convolution, with weight[i, j] for the place (i, j)."""
    N, C, H, W = x.shape
    OH, OW, F, _, KH, KW = weight.shape
    y = np.zeros((N, F, OH, OW))
    for n in range(N):
        for f in range(F):
            for i, j, taps in positions(H, W, (KH, KW), stride, padding):
                total = 0.0 if bias is None else float(bias[f, i, j])
                for c in range(C):
                    for u, v, row, column in taps:
                        total += float(weight[i, j, f, c, u, v]) * pixel(x[n, c], row, column)
                y[n, f, i, j] = total
    return y


def adaptive_avg_pool2d(x, size):
    """Lay size[0] x size[1] equal tiles over the image: the mean of all pixels each one touches."""
    N, C, H, W = x.shape
    y = np.zeros((N, C, *size))
    for n, c, i, j in np.ndindex(y.shape):
        values = [
            float(x[n, c, row, column])
            for row in range(H)
            for column in range(W)
            if i * H < (row + 1) * size[0] and row * size[0] < (i + 1) * H
            if j * W < (column + 1) * size[1] and column * size[1] < (j + 1) * W
        ]
        y[n, c, i, j] = sum(values) / len(values)
    return y


# ── normalisation ────────────────────────────────────────────────────────────────────────────


def local_response_norm(x, size, alpha, beta, k):
    """x / (k + α·Σ of squares over the channels at most size//2 away)^β."""
    N, C, H, W = x.shape
    y = np.zeros(x.shape)
    for n, c, h, w in np.ndindex(x.shape):
        energy = 0.0
        for other in range(C):
            if abs(other - c) <= size // 2:
                energy += float(x[n, other, h, w]) ** 2
        y[n, c, h, w] = x[n, c, h, w] / (k + alpha * energy) ** beta
    return y


def batch_norm(x, weight, bias, eps):
    """(y, means, unbiased variances) of training; x (N, C, …)."""
    y, means, variances = np.zeros(x.shape), [], []
    for c in range(x.shape[1]):
        values = [float(value) for value in x[:, c].reshape(-1)]
        mean = sum(values) / len(values)
        squares = sum((value - mean) ** 2 for value in values)
        for n in range(len(x)):
            for place in np.ndindex(x.shape[2:]):
                normed = (x[n, c, *place] - mean) / math.sqrt(squares / len(values) + eps)
                y[n, c, *place] = normed * weight[c] + bias[c]
        means.append(mean)
        variances.append(squares / (len(values) - 1))
    return y, means, variances


# ── warps ────────────────────────────────────────────────────────────────────────────────────


def coordinate(i, n, align_corners):
    """The position of the centre of pixel i of n, from -1 to 1."""
    if align_corners:
        return -1 + 2 * i / (n - 1) if n > 1 else 0.0
    return -1 + (2 * i + 1) / n


def affine_grid(theta, size, align_corners):
    N, _, H, W = size
    y = np.zeros((N, H, W, 2))
    for n, i, j in np.ndindex(N, H, W):
        u, v = coordinate(j, W, align_corners), coordinate(i, H, align_corners)
        for axis in range(2):
            a, b, c = (float(number) for number in theta[n, axis])
            y[n, i, j, axis] = a * u + b * v + c
    return y


def grid_sample(x, grid, align_corners):
    """Each pixel has a tent-shaped weight: 1 at its centre, 0 at its neighbours' centres."""
    N, C, H, W = x.shape
    _, OH, OW, _ = grid.shape
    y = np.zeros((N, C, OH, OW))
    for n, c, i, j in np.ndindex(y.shape):
        right, down = (float(number) for number in grid[n, i, j])
        column = (right + 1) / 2 * (W - 1) if align_corners else ((right + 1) * W - 1) / 2
        row = (down + 1) / 2 * (H - 1) if align_corners else ((down + 1) * H - 1) / 2
        for r in range(H):
            for s in range(W):
                tent = max(0.0, 1 - abs(row - r)) * max(0.0, 1 - abs(column - s))
                y[n, c, i, j] += tent * float(x[n, c, r, s])
    return y
