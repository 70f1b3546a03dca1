"""Methods: what to do with few images, few labels, or an old model.

checks.py                       what is wrong with a dataset for a head
responses.py                    what a network answers to every image, asked once
transfer.py                     a new head on an old body; everything trained on
distillation.py                 a student learns to answer as a teacher does
joint_batches.py                batches of several datasets at once
learning_without_forgetting.py  a new task, without the old task's images
joint_training.py               several tasks at once: the bound on forgetting
pseudo_label.py                 the network's own decisions as labels; FixMatch
noisy_student.py                teachers label images for students that train with noise
features/                       an image's local and its global part; how good a search is
feature_fusion.py               find images that are alike, by both parts together
augmentation_search.py          which augmentation helps here? Try some, keep the best
samplers.py                     where the policies to try come from
trial.py                        one try: train a new network, score it on validation images
processes.py                    several tries at once, each in a process of its own
search_folder.py                a folder with one line for every try that is done
"""

from minivision.methods.augmentation_search import Candidate, best_of, search
from minivision.methods.distillation import bias_for_share, distill, distillation
from minivision.methods.feature_fusion import FeatureFusion, choose_weight
from minivision.methods.features import ClassicFeatures, DeepFeatures
from minivision.methods.joint_batches import JointBatches
from minivision.methods.joint_training import train_jointly
from minivision.methods.learning_without_forgetting import (
    learn_without_forgetting,
    two_losses,
    with_new_task,
)
from minivision.methods.noisy_student import filter_and_balance, self_train
from minivision.methods.pseudo_label import ramp, train_with_pseudo_labels
from minivision.methods.responses import RecordedBatches, hide_labels, record_responses
from minivision.methods.samplers import NONE, Grid, RandomSequences, policy_name
from minivision.methods.transfer import extract_features, fine_tune, rate_groups
from minivision.methods.trial import Trial

__all__ = [
    "search", "Candidate", "best_of", "Grid", "RandomSequences", "NONE", "policy_name", "Trial",
    "hide_labels", "record_responses", "RecordedBatches", "extract_features", "fine_tune",
    "rate_groups", "distill", "distillation", "bias_for_share", "learn_without_forgetting",
    "with_new_task", "two_losses", "JointBatches", "train_jointly",
    "train_with_pseudo_labels", "ramp", "self_train", "filter_and_balance",
    "ClassicFeatures", "DeepFeatures", "FeatureFusion", "choose_weight",
]  # fmt: skip
