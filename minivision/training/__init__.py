"""Training: the loop, its metrics, and the folder that records a run.

metrics.py         how good is a classifier?
plain_json.py      what may be written to a run's folder
run.py             a run's folder
settings.py        the settings of a run
early_stopping.py  EarlyStopping: when to stop, and which epoch's weights to keep
checkpoint.py      everything a run needs to resume
guard.py           a step that fails changes nothing
progress.py        means over an epoch, and a progress bar
loop.py            Batch, train_step, fit
evaluation.py      evaluate, predict_logits, and in_order, which makes batches for both
ten_crops.py       ten_crop_probabilities, imported from there because it needs OpenCV
"""

from minivision.training.checkpoint import load_model, save_model
from minivision.training.early_stopping import EarlyStopping
from minivision.training.evaluation import evaluate, in_order, predict_logits
from minivision.training.loop import Batch, History, classification_loss, fit, train_step
from minivision.training.run import Run, next_run_path

__all__ = [
    "fit", "train_step", "evaluate", "predict_logits", "classification_loss", "Batch", "History",
    "EarlyStopping", "in_order", "Run", "next_run_path", "load_model", "save_model",
]  # fmt: skip
