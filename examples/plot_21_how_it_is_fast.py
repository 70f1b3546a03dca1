"""
21 · How it is fast
===================

**How fast could a convolution be, and what makes a simple one slow?**

*The same convolution, computed seven times: from the three lines of a textbook to the code that
trains the networks of this course. Every step changes only where the numbers are in memory and when
they are read, never what is computed, and every step is measured on your machine.*

**Prerequisites:** lesson 6 (LeNet-5 reads digits).

**Minutes:** 20 to read, less than 30 seconds to run.

**You will be able to**

* say how fast a convolution could possibly be on your machine, and how close a program comes,
* explain why the order of an image's axes in memory matters more than the number of operations,
* build the matrix of windows with KW copies of every pixel instead of KH·KW.
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
# A convolution is a matrix product in disguise: every filter meets every window. So the speed of
# the matrix product is the ceiling. We take a layer from the middle of a small VGG network, 32
# channels in, 64 filters of 3x3, on 256 images of 16x16, count its multiplications and additions,
# and ask how many of them a large matrix product does per second.

N, C, F, H, W, KH, KW = 256, 32, 64, 16, 16, 3, 3
window = Window(kernel=(KH, KW), padding=(1, 1))
rng = np.random.default_rng(0)
images = rng.normal(size=(N, C, H, W)).astype(np.float32)
weight = rng.normal(size=(F, C, KH, KW)).astype(np.float32)
operations = 2 * N * F * H * W * C * KH * KW  # one multiplication and one addition each


def seconds(function, *arguments):
    """The median time of seven calls, after one to warm up."""
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
# **1, the textbook.** ``sliding_window_view`` shows every window without copying, and ``tensordot``
# multiplies. It is short and right. Inside, tensordot copies all windows into a matrix, one window
# after the other, and one row of a window is only three consecutive numbers in memory.


def textbook():
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))  # (N, C, H, W, KH, KW)
    return np.tensordot(windows, weight, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)


# %%
# **2, im2col.** For a fixed tap of the kernel, the pixels that it meets are a shifted image. So if
# every window becomes a *column*, the matrix consists of shifted images, and it is filled in runs
# of a row each: 16 numbers. This is what ``conv2d`` computes on its page,
# ``functional/convolution.py``, and what a GPU runs. On a CPU the page hands the call to the
# machine room, ``fast/``, the subject of the rest of this lesson; ``fast.off()`` closes its door.


def im2col_page():
    with fast.off():
        return conv2d(images, weight, padding=1).data


# %%
# **3, the batch innermost.** A row of 16 pixels is a short run. If the images are stored pixel by
# pixel, each pixel with its value in all 256 images, a row is 16·256 numbers in one run. And the
# product of filters and columns is the result in that same order, so that the next layer finds the
# layout it needs. The array keeps its shape (N, C, H, W); only its strides differ. The code of the
# first AlexNet used this layout, and so do convolution and pooling in ``fast/``.

pixels_first = in_order(images, BATCH_INNERMOST)
print("shape", pixels_first.shape, " strides in bytes", pixels_first.strides)


def batch_innermost():
    windows = window.view(with_border(pixels_first, window.padding))  # (N, C, KH, KW, OH, OW)
    columns = windows.transpose(1, 2, 3, 4, 5, 0).reshape(C * KH * KW, H * W * N)
    return (weight.reshape(F, -1) @ columns).reshape(F, H, W, N).transpose(3, 0, 1, 2)


# %%
# **4, stacked rows.** A window and the one below it share most of their rows. Expand the image
# along the kernel's *width* only; the windows of an output row are then KH rows of the expanded
# image, one after the other. Every pixel is copied KW times instead of KH·KW times. Here is the
# idea on one image of 4x4 pixels, numbered from 1; 0 is the border.

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
figure.suptitle("The windows of output row 0 (red) and row 1 (black) overlap in the stacked rows")

# %%
# **5, tiles.** The more images there are, the more memory the columns take, stacked or not, and
# soon more than a processor's cache has. So the layer is computed in *tiles*, each of some output
# rows and columns, small enough that its stacked rows take a few megabytes however large the batch.
# Tiles must not be too small, though: a matrix product has to be wide enough to be worth its call.

print(f"columns of the whole layer: {C * KH * KW * H * W * N * 4 / 2**20:.0f} MB")


def many_products(columns, out):
    for _ in range(8192 // columns.shape[1] + 1):  # long enough to be timed
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
# **6, memory that is used again.** The operating system provides memory page by page, at the first
# write. A training step asks for the same sizes again and again, so the package keeps the blocks of
# deleted arrays (``fast/free_list.py``).
#
# **7, all workers.** The tiles are dealt out to one thread per core.
#
# Now we measure the time and the memory that one call allocates. In steps 1 to 5 the free list
# is switched off, and steps 1 to 6 run in one thread.


def stacked_rows():
    return convolve(pixels_first, weight, None, window, 1)


def new_memory(function):
    """The peak memory in megabytes that one call allocates, including its result."""
    tracemalloc.start()
    function()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 2**20


settings = choice.TILE_BYTES, choice.workers, free_list.limit
whole, alone = 2**40, lambda **size: 1  # one tile for all; one worker
steps = {
    "1 textbook": (textbook, whole, alone, 0),
    "2 im2col, the page": (im2col_page, whole, alone, 0),
    "3 batch innermost": (batch_innermost, whole, alone, 0),
    "4 stacked rows": (stacked_rows, whole, alone, 0),
    "5 tiles": (stacked_rows, settings[0], alone, 0),
    "6 used memory": (stacked_rows, settings[0], alone, settings[2]),
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
        print(f"{name:<20} {measured[name] * 1e3:6.1f} ms   {rate:4.0f} billion operations a second"
              f"   {memory[name]:4.0f} MB")  # fmt: skip
choice.TILE_BYTES, choice.workers, free_list.limit = settings

figure, axes = plt.subplots(figsize=(8.4, 4.0), layout="constrained")
names, times = list(measured), 1e3 * np.array(list(measured.values()))
axes.barh(names, times, color=[GREY, GREY, GREY, BLUE, BLUE, BLUE, VERMILION], height=0.65)
beside = {"textcoords": "offset points", "va": "center", "fontsize": 9}
for name, milliseconds in zip(names, times, strict=True):
    words = f"{milliseconds:.0f} ms, {times[0] / milliseconds:.1f} times as fast as 1"
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
# Steps 2 to 4 save time, because each copies in longer runs, or copies less. Do not expect the same
# of 5 and 6 in this loop. They are about memory: a tile bounds what a layer needs on top of its
# result, and it is the unit of work that step 7 distributes. This loop requests the same few sizes
# all the time, so the C library, too, keeps the blocks; a training step requests many sizes. How
# much step 7 gains depends on what else your cores are doing.
#
# What the backward pass does
# ---------------------------
# The gradient of the weights needs the windows again. They are *computed again*, on the page and in
# the machine room, because keeping them would take KH·KW times the memory of the image. The
# gradient of the image reverses the copying: col2im adds every number of a column to the pixel that
# it was copied from, and the machine room can do that with stacked rows. With a stride of 1 there
# is another way, a convolution of dy with kernels turned by 180 degrees; ``choice.flip_kernels``
# uses it for layers with many channels, such as this one. Here are both gradients, in one thread.

dy = rng.normal(size=(N, F, H, W)).astype(np.float32)
choice.workers = alone
for name, door, order in (
    ("page", fast.off(), (0, 1, 2, 3)),  # each with the images in its own order
    ("fast", nullcontext(), BATCH_INNERMOST),
):
    x = Tensor(in_order(images, order), requires_grad=True)
    w = Tensor(weight, requires_grad=True)
    with door, one_blas_thread():
        forward = seconds(lambda x, w: conv2d(x, w, padding=1), x, w)
        node = conv2d(x, w, padding=1).node
        backward = seconds(node.backward, in_order(dy, order))
    print(f"{name}   forward {forward * 1e3:5.1f} ms   both gradients {backward * 1e3:5.1f} ms")
choice.workers = settings[1]

# %%
# Look back
# ---------
# Nothing here is a new formula. The seven results agree to rounding, and the fastest still does
# every one of the multiplications that the textbook does. What changed is how the numbers move
# through memory. There are cleverer algorithms that multiply less (Winograd's, for 3x3 kernels);
# their gain would be additional.

# %%
# Three things to try
# -------------------
# 1. Change ``N`` to 1. Which steps become pointless? Expect step 3 to equal step 2, because with
#    one image the batch is innermost in either order. Steps 4 to 7 copy columns as well: so few
#    windows are not worth stacking (``choice.use_columns``).
# 2. Make the kernel 1x1 without padding, and then 7x7 with a padding of 3: in ``KH``, ``KW`` and
#    ``window``, in ``np.pad`` and in ``padding=1``. Expect stacked rows to save nothing for 1x1,
#    and most for 7x7, above all memory.
# 3. Set ``choice.TILE_BYTES`` to 64 KB and to 64 MB before the measurement. Expect the memory of
#    step 5 to follow, and the time to change far less.
#
# **Next lesson:** the course ends here; begin again with lesson 2, and read ``fast/``

plt.show()
