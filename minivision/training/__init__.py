"""Training: the loop, its metrics, and the folder that records a run.

metrics.py         how good is a classifier?
plain_json.py      what may be written into it
run.py             a run's folder
early_stopping.py  EarlyStopping: when to end, and which epoch's weights to keep
checkpoint.py      everything a run needs to go on
guard.py           a step that goes wrong changes nothing
progress.py        means over an epoch, and a progress bar
loop.py            Batch, train_step, fit
evaluation.py      evaluate, predict_logits, and in_order, batches for them
ten_crops.py       ten_crop_probabilities, which needs OpenCV and is imported from there
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
