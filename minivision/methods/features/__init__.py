"""Features: descriptions of images, for comparing them instead of classifying them.

    corners.py                 interest points, and why an edge is not a corner
    patches.py                 what the image looks like around a point, in 128 numbers
    local_binary_patterns.py   the texture of a whole image, in 59 numbers
    classic.py                 both, without training: a local and a global part for each image
    deep.py                    the same two parts, from a trained network
    retrieval.py               how good a list of retrieved images is
    folder_index.py            the features of a folder of images, computed once

`methods/feature_fusion.py` joins the two parts.
"""

from minivision.methods.features.classic import ClassicFeatures, Parts
from minivision.methods.features.corners import corner_score, interest_points
from minivision.methods.features.deep import DeepFeatures
from minivision.methods.features.folder_index import FolderIndex, index_folder
from minivision.methods.features.local_binary_patterns import lbp_codes, lbp_histogram
from minivision.methods.features.patches import patch_descriptors
from minivision.methods.features.retrieval import (
    average_precision,
    mean_average_precision,
    precision_at_k,
    ranking,
)

__all__ = [
    "interest_points", "corner_score", "patch_descriptors", "lbp_codes", "lbp_histogram",
    "ClassicFeatures", "DeepFeatures", "Parts", "ranking", "precision_at_k", "average_precision",
    "mean_average_precision", "FolderIndex", "index_folder",
]  # fmt: skip
