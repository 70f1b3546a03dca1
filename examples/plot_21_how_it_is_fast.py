"""
21 · How it is fast
===================

**How fast could a convolution be, and what makes a simple one slow?**

*You compute the same convolution in seven ways, from three lines of textbook code to the code that
trains the networks in this course. Every step changes only where the numbers are in memory and when
they are read, never what is computed, and you measure every step on your own machine.*

**Prerequisites:** lesson 6 (LeNet-5 reads digits).

**Minutes:** 20 to read, less than 30 seconds to run.

**You will be able to**

* say how fast a convolution could possibly be on your machine, and how close a program comes,
* explain why the order of an image's axes in memory can matter more than the number of operations,
* build a matrix of windows that contains KW copies of every pixel instead of KH·KW.
"""

# sphinx_gallery_thumbnail_number = 3

import time
import tracemalloc
from contextlib import nullcontext

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minivision import Tensor, fast
from minivision.fast import choice, one_blas_thread, worker_count
from minivision.fast.convolution import convolve
from minivision.fast.free_list import free_list
from minivision.fast.memory import BATCH_INNERMOST, in_order
from minivision.fast.stacked_rows import covered, stack_rows, windows_of
from minivision.functional import conv2d
from minivision.windows import Window, with_border

from lesson import BLUE, GREY, VERMILION

# %%
# How fast could it be?
# ---------------------
# A convolution is a matrix product in disguise: every filter is multiplied with every window. So
# the speed of matrix products is the upper limit. We take a layer from the middle of a small VGG
# network, with 32 input channels and 64 filters of size 3x3, applied to 256 images of size 16x16.
# We count its multiplications and additions, and measure how many of them per second a large matrix
# product achieves.

N, C, F, H, W, KH, KW = 256, 32, 64, 16, 16, 3, 3
window = Window(kernel=(KH, KW), padding=(1, 1))
rng = np.random.default_rng(0)
images = rng.normal(size=(N, C, H, W)).astype(np.float32)
weight = rng.normal(size=(F, C, KH, KW)).astype(np.float32)
operations = 2 * N * F * H * W * C * KH * KW  # one multiplication and one addition each


def seconds(function, *arguments):
    """The median time of seven calls, after one warm-up call."""
    times = []
    for _ in range(8):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


a, b = rng.normal(size=(2, 1024, 1024)).astype(np.float32)
with one_blas_thread():
    peak = 2 * 1024**3 / seconds(np.matmul, a, b)
print(f"the layer: {operations / 1e6:.0f} million operations")
print(f"a matrix product, one thread: {peak / 1e9:.0f} billion operations per second")
print(f"so the layer could take {operations / peak * 1e3:.1f} ms")

# %%
# Seven ways
# ----------
# **1, the textbook.** ``sliding_window_view`` returns a view of all windows without copying them,
# and ``tensordot`` multiplies. This code is short and correct. But internally, ``tensordot`` copies
# all windows into a matrix, one window after the other, and a row of a window is a run of only
# three consecutive numbers in memory.


def textbook():
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))  # (N, C, H, W, KH, KW)
    return np.tensordot(windows, weight, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)


# %%
# **2, im2col.** Each weight of the kernel is multiplied with a shifted copy of the image. So if
# every window becomes a *column* of the matrix, the matrix consists of shifted images, and it can
# be copied in runs of one image row, which is 16 numbers. This is what the code of ``conv2d`` in
# ``functional/convolution.py`` does, and what runs on a GPU. On a CPU, ``conv2d`` normally calls a
# faster implementation in ``fast/``, which is the subject of the rest of this lesson;
# ``fast.off()`` makes it run its own code instead.


def im2col_page():
    with fast.off():
        return conv2d(images, weight, padding=1).data


# %%
# **3, the batch innermost.** A row of 16 pixels is still a short run. If the 256 values that a
# pixel has in the 256 images are stored next to each other, a row is a run of 16·256 numbers. The
# product of filters and columns comes out in the same order, so the next layer receives the layout
# it needs. The array keeps its shape (N, C, H, W); only its strides are different. The code of the
# first AlexNet used this layout, and so do convolution and pooling in ``fast/``.

pixels_first = in_order(images, BATCH_INNERMOST)
print("shape", pixels_first.shape, " strides in bytes", pixels_first.strides)


def batch_innermost():
    windows = window.view(with_border(pixels_first, window.padding))  # (N, C, KH, KW, OH, OW)
    columns = windows.transpose(1, 2, 3, 4, 5, 0).reshape(C * KH * KW, H * W * N)
    return (weight.reshape(F, -1) @ columns).reshape(F, H, W, N).transpose(3, 0, 1, 2)


# %%
# **4, stacked rows.** A window and the one below it share most of their rows. So we copy pixels
# only for the shifts along the kernel's *width*. The windows for one output row are then KH
# consecutive rows of this expanded image, and every pixel is copied KW times instead of KH·KW
# times. The figure shows the idea for one image of 4x4 pixels, numbered from 1, with a border of
# zeros.

small = np.arange(1.0, 17.0, dtype=np.float32).reshape(1, 4, 4, 1)  # (C, H, W, N)
stacked = stack_rows(small, window, covered(window, range(4)), range(4))
windows = windows_of(stacked, window, 4)  # four views of the same memory
matrix = np.concatenate(list(windows), axis=1)

figure, axes = plt.subplots(1, 2, figsize=(9.6, 5.2), width_ratios=[16, 5.2], layout="constrained")
for panel, numbers in zip(axes, (matrix, stacked.reshape(-1, 4)), strict=True):
    panel.imshow(numbers, cmap="Blues", vmin=-4, vmax=26)
    for (y, x), number in np.ndenumerate(numbers):
        panel.text(x, y, f"{number:.0f}", ha="center", va="center", fontsize=8)
    panel.set(xticks=[], yticks=[])
axes[0].set_title("im2col: 9 x 16 numbers, one column per window")
axes[1].set_title("stacked rows: 18 x 4")
for r, colour in ((0, VERMILION), (1, "black")):
    frame = {"fill": False, "edgecolor": colour, "linewidth": 2.5, "clip_on": False}
    axes[0].add_patch(plt.Rectangle((4 * r - 0.5, -0.5), 4, 9, **frame))
    axes[1].add_patch(plt.Rectangle((0.08 * r - 0.5, 3 * r - 0.5), 4 - 0.16 * r, 9, **frame))
figure.suptitle("The windows for output rows 0 (red) and 1 (black) overlap in the stacked rows")

# %%
# **5, tiles.** The more images there are, the more memory the columns take, stacked or not, and
# soon they no longer fit into a processor's cache. So the layer is computed in *tiles*. Each tile
# covers some of the output rows and columns, so few that its stacked rows take a few megabytes
# however large the batch is. Tiles must not be too small, though: a narrow matrix product does not
# repay the cost of calling it.

print(f"columns of the whole layer: {C * KH * KW * H * W * N * 4 / 2**20:.0f} MB")


def many_products(columns, out):
    for _ in range(8192 // columns.shape[1] + 1):  # long enough to time
        np.matmul(weight.reshape(F, -1), columns, out=out)


widths = 2 ** np.arange(1, 15)
speeds = []
with one_blas_thread():
    for width in widths:
        columns = rng.normal(size=(C * KH * KW, width)).astype(np.float32)
        elapsed = seconds(many_products, columns, np.empty((F, width), np.float32))
        count = 8192 // width + 1
        speeds.append(count * 2 * F * C * KH * KW * width / elapsed / 1e9)

figure, axes = plt.subplots(figsize=(6.6, 3.6), layout="constrained")
axes.plot(widths, speeds, "o-", color=BLUE)
axes.axhline(peak / 1e9, color=GREY, linestyle="--", linewidth=1)
axes.annotate("1024 x 1024 x 1024", (widths[0], peak / 1e9), (0, 4), textcoords="offset points")
axes.set_xscale("log", base=2)
axes.set_ylim(0, 1.15 * max(peak / 1e9, *speeds))
axes.set(
    xlabel="width of the columns", ylabel="billion operations per second",
    title=f"({F} x {C * KH * KW}) times columns of different widths",
)  # fmt: skip
axes.spines[["top", "right"]].set_visible(False)

# %%
# **6, reused memory.** The operating system supplies memory page by page, when a page is first
# written to, and that takes time. Training steps request blocks of the same sizes again and again,
# so the package keeps the memory of deleted arrays and reuses it (``fast/free_list.py``).
#
# **7, all workers.** The tiles are distributed to several threads, one per core.
#
# Now we measure the time that one call takes and the memory that it allocates. The free list is
# switched off in steps 1 to 5, and steps 1 to 6 run in one thread.


def stacked_rows():
    return convolve(pixels_first, weight, None, window, 1)


def new_memory(function):
    """The peak of the memory that one call allocates, including its result, in megabytes."""
    tracemalloc.start()
    function()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 2**20


settings = choice.TILE_BYTES, choice.workers, free_list.limit
whole, alone = 2**40, lambda **size: 1  # one tile for all; one worker
steps = {
    "1 textbook": (textbook, whole, alone, 0),
    "2 im2col": (im2col_page, whole, alone, 0),
    "3 batch innermost": (batch_innermost, whole, alone, 0),
    "4 stacked rows": (stacked_rows, whole, alone, 0),
    "5 tiles": (stacked_rows, settings[0], alone, 0),
    "6 reused memory": (stacked_rows, settings[0], alone, settings[2]),
    f"7 workers ({worker_count()})": (stacked_rows, *settings),
}
expected = textbook()
measured, memory = {}, {}
with one_blas_thread():
    for name, (function, *changed) in steps.items():
        free_list.clear()
        choice.TILE_BYTES, choice.workers, free_list.limit = changed
        np.testing.assert_allclose(function(), expected, rtol=1e-3, atol=1e-3)
        measured[name], memory[name] = seconds(function), new_memory(function)
        rate = operations / measured[name] / 1e9
        print(f"{name:<20} {measured[name] * 1e3:6.1f} ms   {rate:4.0f} billion operations/s"
              f"   {memory[name]:4.0f} MB")  # fmt: skip
choice.TILE_BYTES, choice.workers, free_list.limit = settings

figure, axes = plt.subplots(figsize=(8.4, 4.0), layout="constrained")
names, times = list(measured), 1e3 * np.array(list(measured.values()))
axes.barh(names, times, color=[GREY, GREY, GREY, BLUE, BLUE, BLUE, VERMILION], height=0.65)
beside = {"textcoords": "offset points", "va": "center", "fontsize": 9}
for name, milliseconds in zip(names, times, strict=True):
    words = f"{milliseconds:.0f} ms, {times[0] / milliseconds:.1f} times as fast as step 1"
    words += f", {memory[name]:.0f} MB"
    axes.annotate(words, (milliseconds, name), (4, 0), backgroundcolor="white", **beside)
ceiling = operations / peak * 1e3
axes.axvline(ceiling, color="black", linestyle="--", linewidth=1)
top = (ceiling, 1)
axes.annotate("matrix product, one thread", top, (4, 8), ("data", "axes fraction"), **beside)
axes.set_xlim(0, 1.8 * times[0])
axes.invert_yaxis()
axes.set(xlabel="milliseconds for one forward pass")
axes.spines[["top", "right"]].set_visible(False)

# %%
# Steps 2 to 4 save time because each of them copies in longer runs or copies less. Do not expect
# the same from steps 5 and 6 in this loop. They are about memory: tiles limit how much memory a
# layer needs in addition to its result, and they are the units of work that step 7 distributes.
# Because this loop keeps requesting the same few sizes, the C library, too, keeps the blocks and
# reuses them; a training step requests many different sizes. How much step 7 gains depends on what
# else your cores are doing.
#
# What the backward pass does
# ---------------------------
# The gradient with respect to the weights needs the windows again. Both the code in ``functional/``
# and that in ``fast/`` *recompute* them, because storing them would take KH·KW times the memory of
# the image. The gradient with respect to the image reverses the copying: col2im adds every number
# in a column to the pixel that it was copied from, and ``fast/`` can do that with stacked rows.
# With a stride of 1 there is a second way, a convolution of dy, the gradient of the output, with
# kernels rotated by 180 degrees; ``choice.flip_kernels`` selects it for layers with many channels,
# such as this one. We measure both gradients together, in one thread.

dy = rng.normal(size=(N, F, H, W)).astype(np.float32)
choice.workers = alone
for name, door, order in (
    ("im2col", fast.off(), (0, 1, 2, 3)),  # each gets the images in its own memory order
    ("fast", nullcontext(), BATCH_INNERMOST),
):
    x = Tensor(in_order(images, order), requires_grad=True)
    w = Tensor(weight, requires_grad=True)
    with door, one_blas_thread():
        forward = seconds(lambda x, w: conv2d(x, w, padding=1), x, w)
        node = conv2d(x, w, padding=1).node
        backward = seconds(node.backward, in_order(dy, order))
    print(f"{name:<6}   forward {forward * 1e3:5.1f} ms   both gradients {backward * 1e3:5.1f} ms")
choice.workers = settings[1]

# %%
# Look back
# ---------
# No step changed the formula. The seven results agree up to rounding, and the fastest version still
# performs all the multiplications of the textbook version. What changed is how the numbers move
# through memory. There are algorithms that need fewer multiplications (Winograd's, for 3x3
# kernels); their gain would come on top of this one.

# %%
# Three things to try
# -------------------
# 1. Change ``N`` to 1. Which steps become pointless? Expect step 3 to be the same as step 2,
#    because with one image the two orders are the same. Steps 4 to 7 use im2col as well, because
#    stacking does not pay off for so few windows (``choice.use_columns``).
# 2. Use a 1x1 kernel without padding, and then a 7x7 kernel with a padding of 3: change ``KH``,
#    ``KW``, ``window``, the arguments of ``np.pad``, and ``padding=1``. Expect stacked rows to save
#    nothing for 1x1, and most for 7x7, especially in memory.
# 3. Set ``choice.TILE_BYTES`` to 64 KB and to 64 MB before the measurement. Expect the memory of
#    step 5 to change accordingly, and the time to change far less.
#
# **Next lesson:** this is the last one; next, read ``minivision/fast/`` itself

plt.show()
