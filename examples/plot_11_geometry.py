"""
11 · Geometry
=============

**Which changes to an image leave its label correct?**

*You rotate, mirror, crop, shear, tilt and stretch an image, together with its boxes and masks. Each
of these changes except the last is one small matrix. Then you find out which of them preserve the
label.*

**Prerequisites:** lessons 1 (nearest neighbours) and 10 (augmentation).

**Minutes:** 25 to read, about 20 seconds to run.

**You will be able to**

* compute where a rotation, a crop, an affine map or a perspective map moves a pixel,
* find an affine map from three points and a perspective map from four,
* choose augmentations that preserve the label, and move boxes, masks and points with the image.
"""

# sphinx_gallery_thumbnail_number = 8

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from minivision import datasets, models, transforms

from lesson import BLUE, GREEN, GREY, PALE, VERMILION, YELLOW, device, to_device


def show(pictures, width=9.4, height=2.5):
    """Show a row of (title, image) pairs and return their axes, to draw on."""
    figure, grid = plt.subplots(1, len(pictures), figsize=(width, height), layout="constrained")
    for axes, (title, image) in zip(grid, pictures, strict=True):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, fontsize=10)
        axes.set(xticks=[], yticks=[])
    return grid


# %%
# Rotations and flips
# -------------------
# A quarter turn moves whole pixels and loses nothing. NumPy counts quarter turns counter-clockwise,
# so ``np.rot90(image, -1)`` turns the image to the right; ``Rotate90`` counts in the same
# direction. A *flip* reverses one axis. If you reverse both axes, you do not get a flip but a
# rotation by 180 degrees. The notes of the lecture course that this project accompanies do this and
# call it a "flip". Text in the image would make the difference obvious; here the way the roofs lean
# shows it.

photo = transforms.Resize((214, 320))(load_sample_image("china.jpg"))
rng = np.random.default_rng(0)
mirrored = transforms.RandomHorizontalFlip(1.0)(photo, rng)
show([
    ("the photograph", photo),
    ("np.rot90(image, -1)", transforms.Rotate90(-1)(photo)),
    ("[:, ::-1], a flip", mirrored),
    ("[::-1, ::-1], the “flip”", photo[::-1, ::-1]),
])  # fmt: skip
print(
    "both axes reversed = two quarter turns:",
    np.array_equal(photo[::-1, ::-1], transforms.Rotate90(2)(photo)),
)
quarters = [transforms.Rotate90(turns)(photo) for turns in range(4)]
print("flipped = any number of quarter turns:", any(np.array_equal(mirrored, q) for q in quarters))

# %%
# Where is the middle?
# --------------------
# Number the pixels in a row from 0 to W-1, and let these numbers be the positions of the pixels'
# *centres*. The row then extends from -½ to W-½, and its middle is (W-1)/2. For four pixels the
# middle is 1.5, halfway between the second and the third. Many programs rotate about W/2 instead.
# That point is half a pixel off, and a rotation by 180 degrees doubles the error. We try both on
# the same photograph.

H, W = photo.shape[:2]
turned = transforms.Rotate(180)(photo)
half_pixel_off = transforms.Warp([[-1, 0, W], [0, -1, H], [0, 0, 1]])(
    photo
)  # (x, y) -> (W - x, H - y)
print("pixels that differ from an exact half turn, rotating about ((W-1)/2, (H-1)/2):",
      f"{(turned != transforms.Rotate90(2)(photo)).any(axis=2).mean():.0%}")  # fmt: skip
print("rotating about (W/2, H/2):",
      f"{(half_pixel_off != transforms.Rotate90(2)(photo)).any(axis=2).mean():.0%};",
      "first row and column empty:",
      not half_pixel_off[0].any() and not half_pixel_off[:, 0].any())  # fmt: skip

# %%
# Most other angles move the centre of a pixel to a position between pixels. So we work backwards:
# for each pixel of the *result* we compute its position in the original image, and read off the
# weighted mean of the four pixels around this position (bilinear) or the nearest pixel. If the
# position is outside the image, the border rule supplies a value.

small = transforms.Resize((54, 80))(photo)
show([
    ("bilinear, constant", transforms.Rotate(25)(small)),
    ("nearest, constant", transforms.Rotate(25, interpolation="nearest", fill=128)(small)),
    ("bilinear, edge", transforms.Rotate(25, border="edge")(small)),
    ("bilinear, reflect", transforms.Rotate(25, border="reflect")(small)),
], height=2.0)  # fmt: skip

# %%
# Crops
# -----
# A crop moves only the frame. ``draw`` chooses the frame, and ``apply`` cuts it out; the drawn
# values can be printed and reused. Networks for photographs are often trained on windows of random
# size and shape, which are resized to a fixed size (``RandomResizedCrop``), and tested on the
# central crop. Here are four random windows. A crop that is larger than the image raises an error.

crop = transforms.RandomResizedCrop((96, 96), scale=(0.1, 0.6))
drawn = [crop.draw((H, W), rng) for _ in range(4)]
grid = show([("four windows", photo), *[(f"{i}", crop.apply(photo, d)) for i, d in
                                        enumerate(drawn)]], height=1.8)  # fmt: skip
for i, (d, colour) in enumerate(zip(drawn, (BLUE, VERMILION, GREEN, YELLOW), strict=True)):
    left, top = -(d.shift_x + 0.5) / d.scale_x, -(d.shift_y + 0.5) / d.scale_y
    grid[0].add_patch(plt.Rectangle((left, top), 96 / d.scale_x, 96 / d.scale_y, fill=False,
                                    edgecolor=colour, linewidth=1.5))  # fmt: skip
    for spine in grid[i + 1].spines.values():
        spine.set(edgecolor=colour, linewidth=3)
print(drawn[0])

try:
    transforms.CenterCrop((300, 300))(photo)
except ValueError as error:
    print(error)

# %%
# Three points determine an affine map
# ------------------------------------
# Rotating, shifting, scaling and shearing all move (x, y) to (a x + b y + c, d x + e y + f). Such
# an *affine map* has six numbers. A point and its target give two equations, so three points and
# their targets determine the map. Here is the example from the lecture notes:

source = [[50, 50], [200, 50], [50, 200]]
target = [[10, 100], [200, 50], [100, 250]]
matrix = transforms.affine_from_points(source, target)
print(matrix.round(5))

# %%
# What does an affine map preserve? Straight lines stay straight, parallel lines stay parallel, and
# the ratio of lengths along parallel lines does not change; angles and the lengths themselves may.
# The chessboard has 8 by 6 squares before and after the map.

board = np.indices((240, 320)).astype(int) // 40
board = (70 + 110 * (board.sum(axis=0) % 2)).astype(np.uint8)[:, :, None]
lean = transforms.affine_from_points(
    [[160, 120], [240, 120], [160, 160]], [[160, 120], [240, 120], [180, 160]]
)
tilt = transforms.perspective_from_points(
    [[0, 0], [319, 0], [319, 239], [0, 239]], [[90, 40], [230, 40], [319, 210], [0, 210]]
)
grid = show([
    ("a board", board),
    ("the notes' three points", transforms.Warp(matrix, (330, 330))(board)),
    ("a shear from three points", transforms.Warp(lean)(board)),
    ("a perspective from four points", transforms.Warp(tilt)(board)),
], height=2.3)  # fmt: skip
for axes, points in ((grid[0], source), (grid[1], target)):
    axes.scatter(*np.transpose(points), color=VERMILION, s=30)

a, b, c, d = np.array([[40, 40], [40, 200], [280, 80], [280, 160]])  # ab is parallel to cd
for name, m in (("three points", matrix), ("shear", lean), ("perspective", tilt)):
    warp = transforms.Warp(m)
    p, q, r, s, middle = warp.apply_points([a, b, c, d, (a + b) / 2], warp.draw((240, 320)))
    angles = np.degrees([np.arctan2(*(v - u)[::-1]) for u, v in ((p, q), (r, s))])
    ab, cd, half = (np.linalg.norm(v) for v in (q - p, s - r, middle - p))
    print(f"{name:<13} lengths ab/cd {ab / cd:.3f},",
          f"directions {angles[0]:6.2f} and {angles[1]:6.2f} degrees,",
          f"midpoint of ab at {half / ab:.3f} of its length")  # fmt: skip

# %%
# Under both affine maps the ratio of the lengths is still 2, parallel lines are still parallel, and
# the midpoint is still the midpoint. A perspective map preserves none of these: columns converge in
# the distance, and the far half of each column looks shorter. It preserves only straight lines.
#
# Three points on a line do not determine a map. The error message says how close to a line they
# are:

try:
    transforms.affine_from_points([[0, 0], [10, 10], [20, 20]], target)
except ValueError as error:
    print(error)

# %%
# Four points determine a perspective map
# ---------------------------------------
# If you photograph a page on a table from the side, its far edge looks shorter than its near edge,
# which no affine map can reproduce. We make such a photograph ourselves by placing a page of digits
# on a picture of a table. The same map also moves the page's mask, which says which pixels belong
# to the page.

train, validation, test = datasets.load_dataset("digits")
page = 255 - train.images[:24].reshape(4, 6, 28, 28).swapaxes(1, 2).reshape(112, 168, 1)
page = np.repeat(transforms.Pad((132, 188), fill=255)(page), 3, axis=2)
table = np.full((214, 320, 3), (120, 90, 60), np.uint8)
table[::9] = (105, 78, 52)

corners = np.array([[0, 0], [187, 0], [187, 131], [0, 131]])
seen = np.array([[105, 30], [280, 62], [235, 190], [20, 120]])
lay = transforms.Perspective(corners, seen, size=(214, 320))
drawn = lay.draw((132, 188))
there = lay.apply_mask(np.ones((132, 188), np.uint8), drawn)
photograph = np.where(there[:, :, None] == 1, lay.apply(page, drawn), table)

# %%
# To straighten the page, an app would ask you to click on its four corners. Three corners and an
# affine map are not enough: the map moves these three corners to the right places, but not the
# fourth.

by_four = transforms.Perspective(seen, corners, size=(132, 188))(photograph)
by_three = transforms.Warp(
    transforms.affine_from_points(seen[[0, 1, 3]], corners[[0, 1, 3]]), (132, 188)
)(photograph)
grid = show([
    ("photographed", photograph),
    ("straightened with four corners", by_four),
    ("with three corners", by_three),
], height=2.4)  # fmt: skip
grid[0].plot(*seen[[0, 1, 2, 3, 0]].T, "o-", color=VERMILION, linewidth=1, markersize=4)
for name, straight in (("four", by_four), ("three", by_three)):
    print(f"{name:<5} corners: mean difference from the page",
          f"{abs(straight.astype(int) - page).mean():.1f} grey levels")  # fmt: skip

# %%
# Annotations move with the image
# -------------------------------
# An annotated image comes with boxes, masks or points. If we moved only the image, its annotations
# would be wrong. So every geometric transform moves all of them with the values that it drew.
# Points are moved by the matrix. A mask takes the nearest pixel, so that no new label is invented
# between two labels. A box becomes the box around its four moved corners, which is larger if the
# box was rotated.

data = datasets.ShapeDataset(
    4,
    size=(96, 96),
    clutter=(0, 0),
    angle=(15.0, 15.0),
    background=(0.2, 0.2),
    position=(0.42, 0.42),
)
star, box = data.images[3], data.boxes[3]
mask = (abs(star.astype(int) - star[0, 0]).max(axis=2) > 3).astype(np.uint8)
top = np.flatnonzero(mask.any(axis=1))[0]
tip = np.array([[np.flatnonzero(mask[top]).mean(), top]])
moves = {
    "unchanged": transforms.Affine(),
    "flipped": transforms.RandomHorizontalFlip(1.0),
    "cropped": transforms.RandomCrop((80, 80), padding=8),
    "rotated by 35°": transforms.Rotate(35),
    "perspective": transforms.Perspective(
        [[0, 0], [95, 0], [95, 95], [0, 95]], [[25, 5], [80, 20], [95, 90], [0, 75]]
    ),
    "elastic": transforms.ElasticDistortion(140, 9),
}
drawn = {name: move.draw((96, 96), rng) for name, move in moves.items()}
grid = show([(name, move.apply(star, drawn[name])) for name, move in moves.items()], height=1.9)
for axes, (name, move) in zip(grid, moves.items(), strict=True):
    [[x0, y0, x1, y1]] = move.apply_boxes([box], drawn[name])
    # The edges of a box lie between pixels, whose centres are whole numbers, as in matplotlib.
    axes.add_patch(plt.Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False,
                                 edgecolor=YELLOW, linewidth=1.5))  # fmt: skip
    axes.contour(move.apply_mask(mask, drawn[name]), [0.5], colors=[BLUE], linewidths=1.5)
    axes.scatter(*move.apply_points(tip, drawn[name]).T, color=VERMILION, s=22, zorder=3)
    share = move.apply_mask(mask, drawn[name]).sum() / ((x1 - x0) * (y1 - y0))
    print(f"{name:<14} box {x0:5.1f} {y0:5.1f} {x1:5.1f} {y1:5.1f};",
          f"the mask fills {share:.0%} of it")  # fmt: skip

# %%
# Elastic distortion
# ------------------
# No matrix turns one handwritten 2 into a different one. *Elastic distortion* treats the image as a
# sheet of rubber. It draws a random displacement for every pixel, smooths the displacements over σ
# pixels so that neighbours move the same way, and multiplies the result by α (Simard, Steinkraus &
# Platt 2003). The whole distortion follows from one drawn number, the seed: with the same seed and
# a larger α, the same sheet is stretched further.

digit = train.images[np.flatnonzero(train.labels == 2)[1]]
lines = np.zeros((28, 28, 1), np.uint8)
lines[::4], lines[:, ::4] = 90, 90
strengths = (0, 15, 34, 60, 150)
pictures = []
for alpha in strengths:
    stretch = transforms.ElasticDistortion(alpha, 4.0)
    both = np.maximum(transforms.Resize((112, 112))(digit), transforms.Resize((112, 112))(lines))
    large = transforms.ElasticDistortion(16 * alpha, 16.0)  # four times the size: σ·4, and α·4·4
    pictures.append((f"α = {alpha}", large(both, np.random.default_rng(3))))
show(pictures, height=2.0)
for alpha in strengths:
    field = (
        transforms.ElasticDistortion(alpha, 4.0).draw((28, 28), np.random.default_rng(3)).field()
    )
    print(
        f"α = {alpha:>3}, σ = 4: a pixel moves by {np.hypot(*field).mean():.1f} pixels on average"
    )

# %%
# With the paper's α = 34, the digit looks as if somebody else had written it. Above about α = 2σ²,
# here 32, some images fold: the rubber overlaps itself, and parts of the stroke appear twice.
#
# Which changes preserve the label?
# ---------------------------------
# A mirrored cat is still a cat. Is a mirrored digit still the same digit? A nearest-neighbour
# classifier memorises the unchanged training digits. It then reads the test digits unchanged,
# mirrored, and rotated by 180 degrees.

knn = models.KNearestNeighbors(k=1).fit(to_device(train.images, device), train.labels)
views = {
    "as written": test.images,
    "mirrored": test.images[:, :, ::-1],
    "rotated by 180°": test.images[:, ::-1, ::-1],
}
figure, grid = plt.subplots(1, 3, figsize=(9.4, 3.9), layout="constrained", sharey=True)
for axes, (name, images) in zip(grid, views.items(), strict=True):
    predictions = knn.predict(to_device(images, device))
    table = np.zeros((10, 10))
    np.add.at(table, (test.labels, predictions), 1)
    table /= table.sum(axis=1, keepdims=True)
    axes.imshow(table, cmap="Blues", vmin=0, vmax=1)
    axes.set(xticks=range(10), yticks=range(10), xlabel="read as", title=name)
    survivors = [c for c in range(10) if table[c, c] > 0.5]
    print(f"{name:<15} accuracy {np.trace(table) / 10:.0%};",
          f"digits mostly read correctly: {' '.join(map(str, survivors))};",
          f"6 is read as 9: {table[6, 9]:.0%}, 9 as 6: {table[9, 6]:.0%}")  # fmt: skip
grid[0].set_ylabel("true digit")

# %%
# Most of the rotated 6s are now read as 9s, and few of the mirrored digits are read correctly.
# Every augmentation makes a claim: "this change does not change the label". If the claim is false,
# the augmentation costs accuracy. To see how much, we keep only five examples of each digit, add
# ten changed copies of each example, and read the test digits again.

SEEDS, COPIES = 5, 10
ideas = {
    "no copies": None,
    "rotated by 180°": transforms.Rotate90(2),
    "mirrored": transforms.RandomHorizontalFlip(1.0),
    "elastic": transforms.ElasticDistortion(20.0, 4.0),
    "shifted": transforms.RandomTranslate(2),
    "affine": transforms.RandomAffine(10, 1.5, (0.9, 1.1), 0.2),
}
accuracy = {}
for name, idea in ideas.items():
    accuracy[name] = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        few = [rng.choice(np.flatnonzero(train.labels == c), 5, replace=False) for c in range(10)]
        images, labels = train.images[np.ravel(few)], train.labels[np.ravel(few)]
        if idea is not None:
            copies = [idea(image, rng) for image in images for _ in range(COPIES)]
            images = np.concatenate([images, copies])
            labels = np.concatenate([labels, labels.repeat(COPIES)])
        model = models.KNearestNeighbors(k=1).fit(to_device(images, device), labels)
        predictions = model.predict(to_device(test.images, device))
        accuracy[name].append((predictions == test.labels).mean())
    gain = np.array(accuracy[name]) - accuracy["no copies"]
    print(f"{name:<15} test accuracy {np.mean(accuracy[name]):.1%},",
          f"gain {gain.mean():+.1%} ± {gain.std(ddof=1):.1%}")  # fmt: skip

figure, axes = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
for row, values in enumerate(accuracy.values()):
    axes.plot(values, [row] * SEEDS, "o", color=GREY, markersize=4, alpha=0.6)
    axes.plot(np.mean(values), row, "D", color=VERMILION if row in (1, 2) else BLUE)
axes.axvline(np.mean(accuracy["no copies"]), color=PALE, zorder=0)
axes.set_yticks(range(len(ideas)), ideas)
axes.invert_yaxis()
axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
axes.set_title(f"test accuracy, 50 labelled digits: {SEEDS} draws and their mean", fontsize=10)
axes.spines[["top", "right"]].set_visible(False)

# %%
# In each draw, all augmentations start from the same 50 digits; ± is the standard deviation of the
# gain over the draws. Digits survive small shifts, rotations and distortions, so these
# augmentations help. Rotations by 180 degrees add wrong labels: an image labelled 6 may show a 9.
# Mirroring adds wrong labels too, but fewer mirrored digits look like other digits, and the loss of
# accuracy is small compared with its spread.
#
# Three things to try
# -------------------
# 1. Rotate the photograph through a full circle in two ways: apply ``transforms.Rotate(180)``
#    twice, and ``transforms.Rotate(30)`` twelve times. Expect no difference from the original in
#    the first case, and a blurred disc in the second.
# 2. Straighten the page with two corners swapped in ``seen``. What would such a map have to do?
#    Expect an error: the outline of the page would cross itself, and the map would have to send a
#    line of points between the corners, its horizon, to infinity. No photograph of a page looks
#    like that.
# 3. In the last experiment, give ``elastic`` an α of 5, 20 and 60. Predict which one helps most.
#    Expect it to be 20: with 5 the copies hardly differ from the originals, and with 60 the digits
#    are distorted beyond recognition.
#
# **Next lesson:** 12 · CutMix and Mixup

plt.show()
