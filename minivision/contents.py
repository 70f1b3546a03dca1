"""The table of contents: the order in which to read the source.

The first five chapters are the *spine*, about three evenings of reading that lead from the first
array to a network that learns. The other chapters follow the lessons, and each can be read on its
own. A *door* is a file that a first reading can do without: argument checks, devices, files, faster
implementations, lists of names. You can skip this file on a first reading, too.
"""

from __future__ import annotations

from typing import NamedTuple


class Chapter(NamedTuple):
    """A few files that are read together."""

    title: str
    about: str  # what the reader understands afterwards
    files: list[str]
    doors: list[str]


def chapter(title: str, about: str, files: str, doors: str = "", room: str = "") -> Chapter:
    """A chapter; files are named without .py, and without a folder if they are in `room`."""

    def paths(names: str) -> list[str]:
        return [f"{'' if '/' in name else room}{name}.py" for name in names.split()]

    return Chapter(title, about, paths(files), paths(doors))


SPINE = [
    chapter(
        "The engine",
        "An array that remembers how it was computed, and the chain rule as a loop.",
        "autograd tensor",
        "__init__ contents backend random errors anomaly",
    ),
    chapter(
        "The functions LeNet needs",
        "Value and gradient side by side; a convolution as one matrix product.",
        "functional/arithmetic functional/activation functional/linear windows "
        "functional/convolution functional/pooling functional/softmax functional/losses",
        "functional/__init__ functional/inputs functional/checks functional/loss_checks",
    ),
    chapter(
        "The network",
        "Parameters and layers, and LeNet-5 row by row.",
        "nn/module nn/initializers nn/layers models/network models/lenet",
        "nn/__init__ nn/state nn/sizes nn/weights models/__init__",
    ),
    chapter(
        "Is the gradient right?",
        "How to test a gradient, and the functions that are still missing.",
        "gradcheck functional/reduction functional/shape functional/matmul functional/elementwise "
        "functional/dropout",
        "gradcheck_fast",
    ),
    chapter(
        "Learning",
        "A step, an epoch, a run.",
        "optim/optimizer optim/sgd optim/adam training/loop",
        "optim/__init__ optim/state optim/schedules optim/clipping optim/adamw "
        "optim/weight_decay optim/weight_average training/__init__ training/guard "
        "training/progress training/early_stopping "
        "training/plain_json training/run training/settings training/checkpoint",
    ),
]

CHAPTERS = [
    *SPINE,
    chapter(
        "Memorise, or learn a template",
        "What a network has to beat: remembering all the data, and a single layer.",
        "nearest_neighbors softmax_regression lenet_original",
        room="models/",
    ),
    chapter(
        "How good is it?",
        "Accuracy, confusion and calibration, on images not used for training.",
        "evaluation metrics ten_crops",
        room="training/",
    ),
    chapter(
        "Normalization, and AlexNet",
        "What made it possible to train a network of eight layers on photographs.",
        "functional/normalization functional/average_pooling functional/squashing "
        "functional/selection functional/joining functional/local nn/other_layers "
        "nn/normalization models/alexnet models/alexnet_small models/two_tower",
        "functional/logsumexp functional/other_losses nn/losses",
    ),
    chapter(
        "VGG and ResNet",
        "Deep stacks of small filters, a network slid over a larger image, and layers that add.",
        "models/vgg models/vgg_small models/dense_evaluation functional/stochastic_depth "
        "models/resnet",
    ),
    chapter(
        "Images and augmentation",
        "How to show a network a new version of each image every time.",
        "pipeline resampling flips crops geometry random_geometry warps elastic light color jitter "
        "erasing mixing randaugment policy functional/warp",
        "__init__ checks windows tables nearest pixel_maps from_points random_warps handwriting",
        room="transforms/",
    ),
    chapter(
        "Data",
        "Datasets, folders of your own, splits, and batches that can be repeated.",
        "dataset digits shapes splits only_classes unlabelled loader folder",
        "__init__ download idx mnist fashion_mnist cifar archive images image_formats "
        "class_folders file_dataset fingerprint",
        room="datasets/",
    ),
    chapter(
        "Transfer, distillation, forgetting",
        "What one network can learn from another.",
        "models/heads methods/responses methods/transfer functional/distillation "
        "methods/distillation methods/joint_batches methods/learning_without_forgetting",
        "methods/__init__ methods/checks",
    ),
    chapter(
        "Few labels",
        "Images without labels: pseudo-labels, and a student that outgrows its teacher.",
        "pseudo_label noisy_student",
        room="methods/",
    ),
    chapter(
        "Searching for a policy",
        "Augmentation chosen by its accuracy on the validation images.",
        "augmentation_search samplers trial",
        "parallel_trials",
        room="methods/",
    ),
    chapter(
        "Features old and new",
        "Images compared by hand-made and by learned features.",
        "methods/feature_fusion patches local_binary_patterns corners classic deep retrieval",
        "__init__ folder_index",
        room="methods/features/",
    ),
    chapter(
        "Looking inside",
        "What a unit sees, what a prediction rests on, and the graph itself.",
        "receptive_field effective_field saliency occlusion activation_maps localization "
        "embedding explanation confusion_pairs summary graph expression backward_page",
        "__init__ passes names plots contact_sheet comparison augmentation policies "
        "analysis/gradient_cases/__init__ analysis/gradient_cases/draws "
        "analysis/gradient_cases/arrays analysis/gradient_cases/images "
        "analysis/gradient_cases/probabilities",
        room="analysis/",
    ),
    chapter(
        "Exercises",
        "What a learner writes, and how a mistake is found and named.",
        "exercises/exercise exercises/examples exercises/outcomes exercises/judge backward add "
        "multiply softmax cross_entropy matmul im2col conv2d conv2d_backward max_pool2d sgd relu "
        "local_response_norm batch_norm dropout receptive_field cutmix posterize "
        "distillation_loss lwf_loss pseudo_label_loss",
        "exercises/__init__ exercises/checking exercises/grading exercises/training "
        "exercises/plans exercises/demonstrations __init__",
        room="exercises/tasks/",
    ),
    chapter(
        "The commands",
        "All of this from the command line.",
        "cli/train cli/evaluate cli/predict cli/explain cli/summary cli/receptive_field "
        "cli/gradcheck cli/backward cli/augment cli/transfer cli/distill cli/forget_less "
        "cli/pseudo_label cli/self_train cli/search_augmentation cli/search_images "
        "cli/convert_weights cli/exercise",
        "__main__ cli/__init__ cli/setup cli/argument_types cli/optimization cli/images cli/policy "
        "cli/first_loss cli/comparison cli/few_labels cli/recorded",
    ),
    chapter(
        "The machine room",
        "The same functions again, as fast as NumPy allows.",
        "__init__ door choice memory convolution stacked_rows columns weight_gradient "
        "input_gradient pooling blocks activation normalization batch_normalization products",
        "free_list workers",
        room="fast/",
    ),
]


def reading_order() -> list[str]:
    """All files, chapter by chapter; the doors of each chapter follow its files."""
    return [file for part in CHAPTERS for file in (*part.files, *part.doors)]


def as_table() -> str:
    """The chapters as the Markdown table in the README."""
    rows = ["| chapter | what you understand afterwards | files |", "|---|---|---|"]
    for number, part in enumerate(CHAPTERS, 1):
        files = ", ".join(f"`{file.removesuffix('.py')}`" for file in part.files)
        rows.append(f"| {number}. {part.title} | {part.about} | {files} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(as_table(), end="")
