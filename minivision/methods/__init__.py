"""Methods for training with few images or few labels, and for reusing trained networks.

A method is a loss for `fit`, and sometimes a way to make batches. The file of a method begins with
the code that trains a network with it.

responses.py                    a network's outputs for every image, recorded once
transfer.py                     a new head on a trained backbone
distillation.py                 a student learns to reproduce a teacher's outputs
joint_batches.py                batches from several datasets at once; joint training
learning_without_forgetting.py  a new task, without the old task's images
pseudo_label.py                 the network's own predictions as labels; FixMatch
noisy_student.py                teachers label images for students that train with noise
checks.py                       does a dataset fit a head?
features/                       local and global features of an image; measures for a search
feature_fusion.py               find similar images by local and global features together
augmentation_search.py          which augmentation helps? Try several and keep the best
samplers.py                     generate the policies to try
trial.py                        one trial: train a new network, score it on validation images
parallel_trials.py              several trials at once, in joblib's worker processes
"""

from minivision.methods.augmentation_search import Candidate, best_of, search
from minivision.methods.distillation import bias_for_share, distillation
from minivision.methods.feature_fusion import FeatureFusion, choose_weight
from minivision.methods.features import ClassicFeatures, DeepFeatures
from minivision.methods.joint_batches import JointBatches, joint_loss
from minivision.methods.learning_without_forgetting import lwf_loss, with_new_task
from minivision.methods.noisy_student import filter_and_balance, self_train, without_noise
from minivision.methods.pseudo_label import pseudo_label_batches, pseudo_label_loss, ramp
from minivision.methods.responses import RecordedBatches, hide_labels, record_responses
from minivision.methods.samplers import NONE, Grid, RandomSequences, policy_name
from minivision.methods.transfer import rate_groups
from minivision.methods.trial import Trial

__all__ = [
    "search", "Candidate", "best_of", "Grid", "RandomSequences", "NONE", "policy_name", "Trial",
    "hide_labels", "record_responses", "RecordedBatches", "rate_groups", "distillation",
    "bias_for_share", "lwf_loss", "with_new_task", "JointBatches", "joint_loss",
    "pseudo_label_batches", "pseudo_label_loss", "ramp", "self_train", "filter_and_balance",
    "without_noise", "ClassicFeatures", "DeepFeatures", "FeatureFusion", "choose_weight",
]  # fmt: skip
