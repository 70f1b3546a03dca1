"""Methods: what to do with few images, few labels, or an old model.

    augmentation_search.py   which augmentation helps here? Try some, keep the best
    samplers.py              where the policies to try come from
    trial.py                 one try: train a new network, score it on the validation images
    processes.py             several tries at once, each in a process of its own
    search_folder.py         a folder with one line for every try that is done

Read next: methods/augmentation_search.py
"""

from minivision.methods.augmentation_search import Candidate, best_of, search
from minivision.methods.samplers import NONE, Grid, RandomSequences, policy_name
from minivision.methods.trial import Trial

__all__ = [
    "search", "Candidate", "best_of", "Grid", "RandomSequences", "NONE", "policy_name", "Trial",
]  # fmt: skip
