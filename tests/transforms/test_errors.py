"""What the messages of transforms name: the transform, the argument, the value, what was expected.

Rows are in the reading order of the package, first those that many transforms share.
"""

import numpy as np

from minivision.transforms import (
    Affine,
    CenterCrop,
    ColorJitter,
    Compose,
    CutMix,
    Cutout,
    ElasticDistortion,
    FrameDigit,
    Mixup,
    Normalize,
    OperationSequence,
    Pad,
    PCAColor,
    Perspective,
    RandAugment,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    RandomScale,
    RandomTranslate,
    RandomVerticalFlip,
    Resize,
    Rotate,
    Rotate90,
    Scale,
    ToArray,
    Transform,
    Translate,
    Warp,
    affine_from_points,
    color_components,
    describe,
    five_crops,
    from_description,
    light,
    nearest,
    perspective_from_points,
    tables,
    ten_crops,
)
from minivision.transforms.pixel_maps import GeometricTransform
from minivision.transforms.randaugment import Step
from tests.refusals import refused, table_of_errors
from tests.transforms.examples import EXAMPLES, random_image
from tests.transforms.test_light_and_tables import OPERATIONS

IMAGE = random_image(9, 9)
FORTY_POINTS = np.random.default_rng(0).uniform(2, 25, (40, 2))
SQUARE = [[0, 0], [9, 0], [9, 9], [0, 9]]
NOT_IMAGES = [
    (np.zeros((4, 4), np.uint8), "shape (4, 4)", "image[:, :, None]"),
    (np.zeros((4, 4, 1)), "float64 (4, 4, 1)", "uint8", "ToArray"),
    ([[1]], "list", "uint8"),
    (np.zeros((3, 8, 8), np.uint8), "shape (3, 8, 8)", "(H, W, C)", "1, 3 or 4"),
    (np.zeros((0, 8, 1), np.uint8), "shape (0, 8, 1)", "at least one pixel"),
]
OF_EACH_KIND = {type(transform): transform for transform in EXAMPLES}.values()
OF_IMAGES = [t for t in OF_EACH_KIND if not isinstance(t, ToArray | Normalize | Compose)]
BATCHES = (Mixup(5), CutMix(5), Cutout(3))


def rng():
    return np.random.default_rng(0)


@table_of_errors(
    *[
        (lambda t=t, i=i: t(i, rng()), ValueError, f"{type(t).__name__}: image", *fragments)
        for t in OF_IMAGES
        for i, *fragments in NOT_IMAGES
    ],
    *[
        (lambda o=o, i=i: o(i), ValueError, f"{name}: image", *fragments)
        for name, o in OPERATIONS.items()
        for i, *fragments in [
            (np.zeros((4, 4, 3), np.float32), "float32 (4, 4, 3)", "uint8"),
            (np.zeros((4, 4), np.uint8), "shape (4, 4)"),
            (np.zeros((0, 4, 3), np.uint8), "shape (0, 4, 3)"),
            (np.zeros((4, 4, 4), np.uint8), "shape (4, 4, 4)", "1 or 3", "image[:, :, :3]"),
        ]
    ],
    *[
        (lambda c=c, i=i: c(i, (2, 2)), ValueError, f"{c.__name__}: image", *fragments)
        for c in (five_crops, ten_crops)
        for i, *fragments in NOT_IMAGES
    ],
    *[
        (lambda t=t, g=g: t(IMAGE, g), ValueError, f"{type(t).__name__}: rng", came, "default_rng")
        for t in OF_IMAGES
        if t.random
        for g, came in ((None, "None"), (3, "an int"))
    ],
    *[
        (lambda t=t: t(np.zeros((2, 3, 4, 4), "f"), np.zeros(2, int)), ValueError,
         f"{type(t).__name__}: rng", "None", "default_rng")
        for t in BATCHES
    ],
    *[
        (lambda t=t: t.apply(random_image(9, 10), t.draw((9, 9), rng())), ValueError,
         f"{type(t).__name__}: image", "(9, 10, 3)", "(9, 9)")
        for t in OF_EACH_KIND
        if isinstance(t, GeometricTransform)
    ],
    # ── pipeline
    (lambda: Transform()(IMAGE), NotImplementedError, "Transform", "draw"),
    (lambda: Transform().apply(IMAGE, None), NotImplementedError, "Transform", "apply"),
    (lambda: Compose([ToArray(), ToArray]), ValueError,
     "Compose: transforms[1]", "<class", "ToArray()"),
    (lambda: Compose([ToArray(), "ToArray()"]), ValueError,
     "Compose: transforms[1]", "'ToArray()'", "random"),
    (lambda: Compose([ToArray(), np.copy]), ValueError,
     "Compose: transforms[1]", "function", "takes_batches"),
    (lambda: ToArray()(np.zeros((2, 2, 1), "f")), ValueError,
     "ToArray: image", "float32 (2, 2, 1)", "uint8"),
    (lambda: ToArray()(IMAGE[0]), ValueError,
     "ToArray: image", "uint8 (9, 3)", "(H, W, C)", "(N, H, W, C)"),
    (lambda: ToArray()("cat.png"), ValueError, "ToArray: image", "str"),
    (lambda: Normalize(0, 1)(IMAGE), ValueError,
     "Normalize: image", "uint8 (9, 9, 3)", "float32 (C, H, W)", "ToArray"),
    (lambda: Normalize((0, 0), (1, 1))(np.zeros((3, 2, 2), "f")), ValueError,
     "Normalize: image", "3 channels", "(3, 2, 2)", "2 numbers"),
    (lambda: Normalize((0, 0, 0), (1, 1)), ValueError, "Normalize: mean", "3 numbers", "std", "2"),
    (lambda: Normalize(0, 0), ValueError, "Normalize", "std is (0.0,)", "positive"),
    (lambda: Normalize(np.nan, 1), ValueError, "Normalize: mean", "nan", "finite"),
    # ── pixel maps: points, masks and boxes
    (lambda: move_points(Translate(1, 2), np.zeros(3)), ValueError,
     "Translate: points", "shape (3,)", "(P, 2)"),
    (lambda: move_points(Rotate(10), [[0, np.inf]]), ValueError, "Rotate: points", "not finite"),
    (lambda: move_points(ElasticDistortion(), [1, 2]), ValueError,
     "ElasticDistortion: points", "shape (2,)"),
    (lambda: move_boxes([0, 0, 3, 3]), ValueError,
     "Rotate: boxes", "shape (4,)", "(B, 4)", "(x0, y0, x1, y1)"),
    (lambda: move_boxes([[0, 0, 3]]), ValueError, "Rotate: boxes", "shape (1, 3)"),
    (lambda: move_boxes([[0, 0, np.nan, 3]]), ValueError, "Rotate: boxes", "not finite"),
    (lambda: move_mask(np.zeros((4, 5))), ValueError, "Rotate: mask", "float64 (4, 5)", "integers"),
    (lambda: move_mask(np.zeros((4, 5, 1), np.uint8)), ValueError,
     "Rotate: mask", "uint8 (4, 5, 1)", "(H, W)"),
    (lambda: move_mask([[0, 1]]), ValueError, "Rotate: mask", "list", "integers"),
    (lambda: move_mask(np.zeros((5, 4), np.uint8)), ValueError, "Rotate: mask", "(5, 4)", "(4, 5)"),
    (lambda: move_mask(np.zeros((4, 5), np.uint8), -1), ValueError, "Rotate: fill", "-1", "uint8"),
    (lambda: move_mask(np.zeros((4, 5), np.uint8), 0.5), ValueError,
     "Rotate: fill", "0.5", "integer"),
    (lambda: move_mask(np.zeros((4, 5), np.int16), 40_000), ValueError,
     "Rotate: fill", "40000", "int16"),
    # ── geometry
    (lambda: Resize((0, 3)), ValueError, "Resize: size", "(0, 3)", "positive"),
    (lambda: Resize([3, 3]), ValueError, "Resize: size", "[3, 3]", "tuple"),
    (lambda: Resize(3), ValueError, "Resize: size is 3", "(H, W)"),
    (lambda: Resize((3, 2.5)), ValueError, "Resize: size", "(3, 2.5)", "integers"),
    (lambda: Pad((4, 9))(random_image(5, 6)), ValueError, "Pad: size", "(4, 9)", "(5, 6)"),
    (lambda: Translate(np.nan, 0), ValueError, "Translate: dx", "nan"),
    (lambda: Translate(0, np.inf), ValueError, "Translate: dy", "inf"),
    (lambda: Translate(0, 0, fill=256), ValueError, "Translate: fill", "256", "0 to 255"),
    (lambda: Scale(0), ValueError, "Scale: factor is 0", "positive"),
    (lambda: Scale(np.inf), ValueError, "Scale: factor", "inf"),
    (lambda: Scale(1, fill=-1), ValueError, "Scale: fill", "-1", "0 to 255"),
    (lambda: RandomTranslate(-1), ValueError, "RandomTranslate: pixels", "-1", ">= 0"),
    (lambda: RandomTranslate(1.5), ValueError, "RandomTranslate: pixels", "1.5", "integer"),
    (lambda: RandomTranslate(1, fill=0.5), ValueError, "RandomTranslate: fill", "0.5"),
    (lambda: RandomScale(1.2, 0.8), ValueError, "RandomScale: low", "1.2", "high", "0.8"),
    (lambda: RandomScale(0, 1), ValueError, "RandomScale: low is 0", "0 < low <= high"),
    (lambda: RandomScale(1, np.inf), ValueError, "RandomScale: high", "inf"),
    (lambda: RandomScale(1, 2, fill=300), ValueError, "RandomScale: fill", "300"),
    (lambda: RandomHorizontalFlip(1.1), ValueError, "RandomHorizontalFlip: p", "1.1"),
    (lambda: RandomCrop((2, 0)), ValueError, "RandomCrop: size", "(2, 0)"),
    (lambda: RandomCrop((2, 2), padding=-1), ValueError, "RandomCrop: padding", "-1"),
    (lambda: RandomCrop((2, 2), fill=999), ValueError, "RandomCrop: fill", "999"),
    (lambda: RandomCrop((7, 7), padding=1)(random_image(4, 9), rng()), ValueError,
     "RandomCrop: size", "(7, 7)", "(4, 9)", "(6, 11)", "padding", "Resize"),
    # ── flips
    (lambda: RandomVerticalFlip(1.5), ValueError, "RandomVerticalFlip: p", "1.5", "0 to 1"),
    (lambda: Rotate90(0.5), ValueError, "Rotate90: turns", "0.5", "integer", "Rotate"),
    (lambda: Rotate90("left"), ValueError, "Rotate90: turns", "str"),
    # ── warps
    (lambda: Rotate(np.nan), ValueError, "Rotate: degrees", "nan", "number"),
    (lambda: Rotate("30"), ValueError, "Rotate: degrees", "'30'", "number"),
    (lambda: Rotate(3, border="wrap"), ValueError,
     "Rotate: border", "'wrap'", "constant, edge, reflect"),
    (lambda: Rotate(3, border=["edge"]), ValueError, "Rotate: border", "['edge']", "constant"),
    (lambda: Rotate(3, interpolation="cubic"), ValueError,
     "Rotate: interpolation", "'cubic'", "bilinear, nearest"),
    (lambda: Rotate(3, fill=300), ValueError, "Rotate: fill", "300"),
    (lambda: Affine(scale=0), ValueError, "Affine: scale is 0", "positive"),
    (lambda: Affine(degrees=np.inf), ValueError, "Affine: degrees", "inf"),
    (lambda: Affine(translate=3), ValueError, "Affine: translate is 3", "two finite numbers"),
    (lambda: Affine(shear=(0, np.nan)), ValueError, "Affine: shear", "(0, nan)"),
    (lambda: Affine(shear=(2, 0.5)), ValueError, "Affine: shear", "(2.0, 0.5)", "product is not 1"),
    (lambda: Warp(np.eye(2)), ValueError, "Warp: matrix", "3x3", "0, 0, 1"),
    (lambda: Warp([[1, 2], [3]]), ValueError, "Warp: matrix", "[[1, 2], [3]]", "3x3"),
    (lambda: Warp(np.ones((3, 3))), ValueError, "Warp: matrix", "[1.0, 1.0, 1.0]", "singular"),
    (lambda: Warp(np.eye(3), size=(3, 0)), ValueError, "Warp: size", "(3, 0)"),
    # ── matrices from points
    (lambda: affine_from_points([[0, 0], [1, 1], [2, 2]], SQUARE[:3]), ValueError,
     "affine_from_points: source", "[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]", "condition number"),
    (lambda: affine_from_points(SQUARE[:3], [[1, 1], [1, 1], [1, 1]]), ValueError,
     "affine_from_points: target", "[[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]", "condition number"),
    (lambda: affine_from_points(SQUARE, SQUARE), ValueError,
     "affine_from_points: source", "3 points (x, y)"),
    (lambda: affine_from_points(SQUARE[:3], [[0, 0], [1, np.nan], [2, 2]]), ValueError,
     "affine_from_points: target", "[1, nan]", "finite"),
    (lambda: affine_from_points(None, SQUARE[:3]), ValueError,
     "affine_from_points: source", "None", "3 points"),
    (lambda: perspective_from_points(SQUARE, [[0, 0], [1, 0], [2, 0], [0, 5]]), ValueError,
     "perspective_from_points: target", "[[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]", "triangle"),
    (lambda: perspective_from_points(SQUARE[:3], SQUARE), ValueError,
     "perspective_from_points: source", "4 points"),
    (lambda: perspective_from_points(SQUARE, [SQUARE[i] for i in (0, 1, 3, 2)]), ValueError,
     "perspective_from_points: source", "target", "convex quadrilaterals", "same order"),
    (lambda: perspective_from_points(SQUARE, [[0, 0], [9, 0], [2, 2], [0, 9]]), ValueError,
     "perspective_from_points: source", "[2.0, 2.0]", "convex quadrilaterals"),
    (lambda: Perspective(SQUARE, SQUARE[:3]), ValueError,
     "perspective_from_points: target", "4 points"),
    (lambda: Perspective(SQUARE, SQUARE, size=4), ValueError, "Perspective: size is 4", "(H, W)"),
    (lambda: Perspective(SQUARE, SQUARE, border="wrap"), ValueError,
     "Perspective: border", "'wrap'"),
    # ── random warps
    (lambda: RandomRotation(-3), ValueError, "RandomRotation: degrees", "-3", "from 0"),
    (lambda: RandomRotation(3, fill=-1), ValueError, "RandomRotation: fill", "-1"),
    (lambda: RandomRotation(3, border="zero"), ValueError, "RandomRotation: border", "'zero'"),
    (lambda: RandomAffine(translate=(1, 2)), ValueError, "RandomAffine: translate", "(1, 2)"),
    (lambda: RandomAffine(shear=1), ValueError, "RandomAffine: shear is 1", "below 1"),
    (lambda: RandomAffine(scale=1.5), ValueError, "RandomAffine: scale", "1.5", "(low, high)"),
    (lambda: RandomAffine(scale=(2, 1)), ValueError,
     "RandomAffine: scale", "(2, 1)", "0 < low <= high"),
    (lambda: RandomPerspective(0.7), ValueError, "RandomPerspective: distortion", "0.7", "2/3"),
    (lambda: RandomPerspective(0.5, "cubic"), ValueError,
     "RandomPerspective: interpolation", "'cubic'"),
    # ── elastic distortion
    (lambda: ElasticDistortion(-1), ValueError, "ElasticDistortion: alpha", "-1"),
    (lambda: ElasticDistortion(3, 0), ValueError, "ElasticDistortion: sigma is 0", "positive"),
    (lambda: ElasticDistortion(3, np.inf), ValueError, "ElasticDistortion: sigma", "inf"),
    (lambda: ElasticDistortion(border="none"), ValueError, "ElasticDistortion: border", "'none'"),
    (lambda: move_points(ElasticDistortion(400, 2), FORTY_POINTS, (28, 28)), ValueError,
     "ElasticDistortion", "points", "alpha 400", "sigma 2", "2 sigma²"),
    # ── windows and crops
    (lambda: CenterCrop(5), ValueError, "CenterCrop: size is 5", "tuple"),
    (lambda: CenterCrop((5, 4))(random_image(4, 4)), ValueError,
     "CenterCrop: size", "(5, 4)", "(4, 4)", "Resize", "Pad"),
    (lambda: RandomResizedCrop((0, 4)), ValueError, "RandomResizedCrop: size", "(0, 4)"),
    (lambda: RandomResizedCrop((4, 4), (0, 1)), ValueError, "RandomResizedCrop: scale", "(0, 1)"),
    (lambda: RandomResizedCrop((4, 4), (0.5, 2)), ValueError,
     "RandomResizedCrop: scale", "(0.5, 2)", "at most 1"),
    (lambda: RandomResizedCrop((4, 4), ratio=(2, 1)), ValueError,
     "RandomResizedCrop: ratio", "(2, 1)"),
    (lambda: ten_crops(random_image(4, 5), (5, 5)), ValueError,
     "crop_offsets: size", "(5, 5)", "(4, 5)", "resize"),
    (lambda: ten_crops(random_image(4, 5), (2, 6)), ValueError,
     "crop_offsets: size", "(2, 6)", "(4, 5)"),
    (lambda: ten_crops(random_image(4, 5), (0, 2)), ValueError,
     "crop_offsets: size", "(0, 2)", "tuple"),
    (lambda: ten_crops(random_image(4, 5), 2), ValueError, "crop_offsets: size is 2", "tuple"),
    # ── handwriting
    (lambda: FrameDigit(extent=0), ValueError, "FrameDigit: extent is 0", "1 to 28"),
    (lambda: FrameDigit(extent=29), ValueError, "FrameDigit: extent", "29", "1 to 28"),
    (lambda: FrameDigit()(np.full((50, 40, 1), 255, np.uint8)), ValueError,
     "FrameDigit: image", "255 to 255", "background"),
    # ── light and tables
    (lambda: light.brightness(IMAGE, -1), ValueError, "brightness: factor", "-1", "from 0"),
    (lambda: light.contrast(IMAGE, float("nan")), ValueError, "contrast: factor", "nan"),
    (lambda: light.color(IMAGE, "2"), ValueError, "color: factor", "'2'"),
    (lambda: light.sharpness(IMAGE, float("inf")), ValueError, "sharpness: factor", "inf"),
    (lambda: tables.posterize(IMAGE, 9), ValueError, "posterize: bits is 9", "0 to 8"),
    (lambda: tables.posterize(IMAGE, 2.5), ValueError, "posterize: bits", "2.5", "integer"),
    (lambda: tables.solarize(IMAGE, -1), ValueError, "solarize: threshold", "-1"),
    (lambda: tables.solarize_add(IMAGE, 256), ValueError,
     "solarize_add: addition", "256", "0 to 255"),
    (lambda: tables.gamma(IMAGE, -0.5), ValueError, "gamma: exponent", "-0.5"),
    # ── PCA colour and colour jitter
    (lambda: color_components([]), ValueError, "color_components: images", "empty"),
    (lambda: color_components([random_image(5, 7, 1)]), ValueError,
     "color_components: image", "(5, 7, 1)", "(H, W, 3)"),
    (lambda: PCAColor()(random_image(5, 7, 4), rng()), ValueError,
     "PCAColor: image", "(5, 7, 4)", "(H, W, 3)"),
    (lambda: PCAColor(-1), ValueError, "PCAColor: sigma", "-1"),
    (lambda: PCAColor(np.nan), ValueError, "PCAColor: sigma", "nan"),
    (lambda: PCAColor(0.1, (1, 2)), ValueError, "PCAColor", "eigenvalues has shape (2,)", "(3,)"),
    (lambda: PCAColor(0.1, (1, 2, 3), np.eye(2)), ValueError,
     "PCAColor", "eigenvectors (2, 2)", "(3, 3)"),
    (lambda: PCAColor(0.1, (1, 2, -3)), ValueError,
     "PCAColor: eigenvalues", "(1, 2, -3)", "non-negative"),
    (lambda: PCAColor(0.1, (1, 2, np.inf)), ValueError,
     "PCAColor: eigenvalues", "(1, 2, inf)", "finite"),
    *[
        (lambda bad=bad: ColorJitter(contrast=bad), ValueError, "ColorJitter: contrast", repr(bad))
        for bad in (0.4, (0.6,), (1.4, 0.6), (-0.1, 1), ("a", "b"), (1, np.inf))
    ],
    # ── moves with the nearest pixel
    (lambda: nearest.rotate(IMAGE, float("nan")), ValueError, "rotate: degrees", "nan"),
    (lambda: nearest.shear_x(IMAGE, float("inf")), ValueError, "shear_x: matrix", "inf"),
    (lambda: nearest.translate_x(IMAGE, 1, 256), ValueError, "translate_x: fill", "256"),
    (lambda: nearest.shear_y(IMAGE[0], 1), ValueError, "shear_y: image", "shape (9, 3)"),
    (lambda: nearest.translate_y(IMAGE / 2, 1), ValueError, "translate_y: image", "float64"),
    # ── RandAugment and operation sequences
    (lambda: RandAugment(-1), ValueError, "RandAugment: count", "-1", ">= 0"),
    (lambda: RandAugment(1, 31), ValueError, "RandAugment: magnitude", "31", "0 to 30"),
    (lambda: RandAugment(1, -1), ValueError, "RandAugment: magnitude", "-1"),
    (lambda: RandAugment(1, "9"), ValueError, "RandAugment: magnitude", "'9'"),
    (lambda: RandAugment(1, float("nan")), ValueError, "RandAugment: magnitude", "nan"),
    (lambda: RandAugment(preset="timm"), ValueError,
     "RandAugment: preset", "'timm'", "monotone, noisy_student"),
    (lambda: RandAugment(fill=256), ValueError, "RandAugment: fill", "256"),
    (lambda: RandAugment().apply(IMAGE, [Step("invert")]), ValueError,
     "RandAugment: preset", "'monotone'", "'invert'"),
    (lambda: sequence(("invert", 9)), ValueError,
     "OperationSequence: preset", "'monotone'", "'invert'", "rotate"),
    (lambda: sequence(("rotate", 31)), ValueError,
     "OperationSequence", "'rotate'", "31", "0 to 30"),
    (lambda: sequence(("rotate", "9")), ValueError, "OperationSequence", "'rotate'", "'9'"),
    (lambda: sequence("rotate"), ValueError,
     "OperationSequence: operations", "['rotate']", "magnitude"),
    (lambda: OperationSequence(("rotate", 9)), ValueError,
     "OperationSequence: operations", "('rotate', 9)"),
    (lambda: OperationSequence(3), ValueError, "OperationSequence: operations is 3", "pairs"),
    (lambda: OperationSequence([], 1.5), ValueError,
     "OperationSequence: probability", "1.5", "0 to 1"),
    (lambda: OperationSequence([], preset="timm"), ValueError,
     "OperationSequence: preset", "'timm'", "monotone"),
    (lambda: OperationSequence([], fill=-1), ValueError, "OperationSequence: fill", "-1"),
    (lambda: sequence(("rotate", 9)).apply(IMAGE, [Step("invert")]), ValueError,
     "OperationSequence: preset", "'monotone'", "'invert'"),
    # ── batches: Mixup, CutMix and Cutout
    (lambda: Mixup(5, alpha=-1), ValueError, "Mixup: alpha", "-1", "non-negative"),
    (lambda: CutMix(0), ValueError, "CutMix: classes is 0", ">= 1"),
    (lambda: CutMix(5, probability=2), ValueError, "CutMix: probability is 2", "0 to 1"),
    (lambda: Cutout(0), ValueError, "Cutout: size is 0", ">= 1"),
    *[
        (lambda t=t, i=i: t(i, np.zeros(2, int), rng()), ValueError,
         f"{type(t).__name__}: images", *fragments)
        for t in BATCHES
        for i, *fragments in [
            (np.zeros((2, 3, 4, 4), np.uint8), "uint8 (2, 3, 4, 4)", "floats"),
            (np.zeros((3, 4, 4), "f"), "float32 (3, 4, 4)", "(N, C, H, W)"),
            ([[1.0]], "list", "floats"),
        ]
    ],
    *[
        (lambda k=k, y=y: k(5)(np.zeros((3, 3, 6, 7), "f"), y, rng()), error,
         f"{k.__name__}: targets", *fragments)
        for k in (Mixup, CutMix)
        for y, error, *fragments in [
            ([0, 1, 5], ValueError, "0 to 5", "0 to 4"),
            ([0, 1], ValueError, "int64 (2,)", "3 integers", "(3, 5)"),
            ([0.0, 1.0, 2.0], ValueError, "float64 (3,)", "3 integers"),
            (np.ones((3, 4)) / 4, ValueError, "(3, 4)", "(3, 5)"),
            (np.ones((3, 5)), ValueError, "targets[0]", "sums to 5", "sum to 1"),
            (np.full((3, 5), np.nan), ValueError, "targets[0]", "nan"),
            (np.array([[2.0, -1, 0, 0, 0]] * 3), ValueError, "targets[0]", "[ 2. -1."),
            (np.eye(5, dtype=int)[:3], TypeError, "int64", "floats"),
        ]
    ],
    # ── descriptions
    (lambda: describe(other_resize()), ValueError, "describe: transform", "Resize", "TRANSFORMS"),
    (lambda: from_description({"transform": "system"}), ValueError,
     "from_description: transform", "'system'", "ToArray"),
    (lambda: from_description({"transform": ["Resize"]}), ValueError,
     "from_description: transform", "['Resize']"),
    (lambda: from_description({"size": [2, 2]}), ValueError,
     "from_description: description", "[2, 2]", '"transform"'),
    (lambda: from_description("ToArray"), ValueError,
     "from_description: description", "'ToArray'", "list"),
    (lambda: from_description({"transform": "Resize"}), ValueError,
     "from_description: Resize", "[]", "['size']"),
    (lambda: from_description({"transform": "ToArray", "x": 1}), ValueError,
     "from_description: ToArray", "['x']"),
    (lambda: from_description([{"transform": "Resize", "size": [0, 2]}]), ValueError,
     "Resize: size", "(0, 2)"),
)  # fmt: skip
def test_transforms_name_the_wrong_argument(call, error, fragments):
    with refused(error, *fragments):
        call()


def move_points(transform, points, size=(4, 5)):
    return transform.apply_points(points, transform.draw(size, rng()))


def move_boxes(boxes):
    return Rotate(10).apply_boxes(np.array(boxes), Rotate(10).draw((4, 5)))


def move_mask(mask, fill=0):
    return Rotate(10).apply_mask(mask, Rotate(10).draw((4, 5)), fill=fill)


def sequence(*operations):
    return OperationSequence(list(operations))


def other_resize():
    """A transform with the name of one of ours, but of another class."""
    return type("Resize", (Transform,), {})()
