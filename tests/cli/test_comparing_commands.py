"""transfer, distill and forget-less as a user meets them: two folders of digits, an old network."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from minivision.cli import main
from minivision.datasets import digits
from minivision.nn.weights import load_weights
from minivision.training import Run, loop

EACH = 24  # images of a class


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the images of 0 to 4, one with those of 5 to 9, and a network for the first."""
    place = tmp_path_factory.mktemp("tasks")
    data = digits().train
    for k in range(10):
        folder = place / ("low" if k < 5 else "high") / str(k)
        folder.mkdir(parents=True)
        for i in np.flatnonzero(data.labels == k)[:EACH]:
            cv2.imwrite(str(folder / f"{i}.png"), data[i][0])
    train = ["train", "--dataset", str(place / "low"), "--epochs", "4", "--batch-size", "8"]
    assert main([*train, "--out", str(place / "old")]) == 0
    return place


def command_lines(place):
    """A short call of each command, without --out."""
    short = ["--epochs", "2", "--limit", "40", "--batch-size", "20"]
    new = ["--dataset", str(place / "high"), *short]
    old = str(place / "old")
    return {
        "transfer": ["transfer", old, *new],
        "transfer, augmented": ["transfer", old, *new, "--augment", "crop", "--layers", "2"],
        "distill": ["distill", old, "--student", "lenet5_lecture", *short],
        "distill, unlabelled": ["distill", old, "--student", "lenet5_lecture", "--no-labels", *new],
        "forget-less": ["forget-less", old, *new],
    }


COMMAND_LINES = (
    "transfer", "transfer, augmented", "distill", "distill, unlabelled", "forget-less",
)  # fmt: skip


@pytest.fixture(scope="module")
def done(place):
    """The results of all these calls, each in a folder of its name; nothing interrupted them."""
    folder = place / "done"
    for name, line in command_lines(place).items():
        assert main([*line, "--out", str(folder / name)]) == 0
    return folder


def refused(capsys, *argv):
    """The one line that a refused command prints, after checking that it is one and code 2."""
    assert main([str(word) for word in argv]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


def result(folder):
    return json.loads((folder / "result.json").read_text())


def settings(folder):
    return json.loads((folder / "settings.json").read_text())


def weights(folder):
    """The bytes of every array in the checkpoints below a folder, by file and name."""
    found = {}
    for path in sorted(folder.rglob("checkpoint.safetensors")):
        for name, array in load_weights(path)[0].items():
            found[str(path.relative_to(folder)), name] = array.tobytes()
    return found


def without_times(results):
    """Results but for what a clock has measured."""
    clocks = ("training_seconds", "milliseconds")
    return {way: {k: v for k, v in row.items() if k not in clocks} for way, row in results.items()}


def printed_accuracy(folder, capsys):
    capsys.readouterr()
    assert main(["evaluate", str(folder)]) == 0
    return capsys.readouterr().out.split("accuracy")[1].split()[0]


def test_the_results_and_a_picture_stand_in_the_folder(done):
    ways = {
        "transfer": ["scratch", "frozen", "fine-tuned"],
        "distill": ["teacher", "labels alone", "distilled"],
        "distill, unlabelled": ["teacher", "distilled"],
        "forget-less": [
            "before", "feature extraction", "fine-tuning", "learning without forgetting",
            "joint training",
        ],
    }  # fmt: skip
    for name, expected in ways.items():
        assert list(result(done / name)) == expected
        # Without labels of the teacher's classes there is no accuracy, and no curve of it.
        picture = done / name / "comparison.png"
        assert picture.exists() == (name != "distill, unlabelled")
        assert name == "distill, unlabelled" or cv2.imread(str(picture)).shape[1] > 600


@pytest.mark.parametrize("name", ["transfer", "transfer, augmented"])
def test_the_frozen_body_is_the_old_one_to_the_bit_and_the_others_are_not(place, done, name):
    old = load_weights(place / "old" / "checkpoint.safetensors")[0]
    for way, same in (("frozen", True), ("fine-tuned", False)):
        new = load_weights(done / name / way / "checkpoint.safetensors")[0]
        backbone = [key for key in new if key.startswith("model.backbone.")]
        assert len(backbone) >= 6
        for key in backbone:
            before = old[key.replace("model.backbone.", "model.")]
            assert (before.tobytes() == new[key].tobytes()) == same, key


@pytest.mark.parametrize("more", [[], ["--layers", "2", "--hidden", "12"]], ids=["1", "2 and 12"])
def test_from_scratch_is_the_same_architecture(place, tmp_path, more):
    line = ["transfer", str(place / "old"), "--dataset", str(place / "high"), "--epochs", "1"]
    assert main([*line, "--limit", "10", *more, "--out", str(tmp_path / "t")]) == 0
    scratch, tuned = (
        load_weights(tmp_path / "t" / way / "checkpoint.safetensors")[0]
        for way in ("scratch", "fine-tuned")
    )
    sizes = [sorted(array.shape for array in state.values()) for state in (scratch, tuned)]
    assert sizes[0] == sizes[1]
    rows = result(tmp_path / "t")
    assert rows["scratch"]["trained_parameters"] == rows["fine-tuned"]["trained_parameters"]
    assert rows["frozen"]["trained_parameters"] < rows["scratch"]["trained_parameters"]


def test_a_body_without_weights_can_be_kept_too(place, tmp_path):
    """Softmax regression is all head."""
    old = str(tmp_path / "old")
    train = ["train", "--model", "softmax_regression", "--dataset", str(place / "low")]
    assert main([*train, "--epochs", "1", "--out", old]) == 0
    line = [old, "--dataset", str(place / "high"), "--epochs", "1"]
    assert main(["transfer", *line, "--out", str(tmp_path / "t")]) == 0
    assert (
        result(tmp_path / "t")["frozen"]["trained_parameters"]
        == (result(tmp_path / "t")["fine-tuned"]["trained_parameters"])
    )


def test_one_approach_alone_keeps_its_baseline(place, tmp_path):
    line = ["transfer", str(place / "old"), "--dataset", str(place / "high"), "--epochs", "1"]
    assert main([*line, "--approach", "frozen", "--out", str(tmp_path / "t")]) == 0
    assert list(result(tmp_path / "t")) == ["scratch", "frozen"]


@pytest.mark.parametrize("run", ["transfer/fine-tuned", "forget-less/fine-tuning/new"])
def test_new_images_are_standardised_as_the_old_ones_were(place, done, run):
    old, new = (settings(folder)["preprocessing"] for folder in (place / "old", done / run))
    assert new["dataset"] == old["dataset"]
    assert settings(done / run)["classes"] == ["5", "6", "7", "8", "9"]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("transfer", "scratch"), ("transfer", "frozen"), ("transfer, augmented", "fine-tuned"),
        ("distill", "labels alone"), ("distill", "distilled"),
    ],
)  # fmt: skip
def test_evaluate_agrees_with_the_result_of_each_run(done, capsys, name, way):
    expected = result(done / name)[way]["test_accuracy"]
    run = done / name / way.replace(" ", "-")
    assert printed_accuracy(run, capsys) == f"{expected:.2%}"
    assert result(run)["test_accuracy"] == expected


@pytest.mark.parametrize("way", ["fine-tuning", "learning without forgetting", "joint training"])
def test_both_tasks_of_a_network_can_be_evaluated_and_asked(place, done, capsys, way):
    for task, image in (("old", "low/3"), ("new", "high/7")):
        run = done / "forget-less" / way.replace(" ", "-") / task
        expected = result(done / "forget-less")[way][f"{task}_test_accuracy"]
        assert printed_accuracy(run, capsys) == f"{expected:.2%}"
        picture = next((place / image).iterdir())
        assert main(["predict", str(run), str(picture)]) == 0
        named = set(settings(run)["classes"])
        answers = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "%" in line]
        assert {answer for answer in answers if not answer.startswith("|")} <= named


def test_feature_extraction_forgets_nothing(done):
    rows = result(done / "forget-less")
    before, frozen = rows["before"], rows["feature extraction"]
    assert frozen["old_test_accuracy"] == before["old_test_accuracy"] > 0.6
    assert rows["fine-tuning"]["new_test_accuracy"] is not None


def test_a_student_stands_beside_its_teacher(done):
    rows = result(done / "distill")
    columns = {"parameters", "multiply_adds", "milliseconds", "test_accuracy", "agreement"}
    assert all(columns <= set(row) for row in rows.values())
    assert rows["teacher"]["agreement"] == 1
    assert rows["labels alone"]["parameters"] == rows["distilled"]["parameters"]
    assert rows["distilled"]["parameters"] < rows["teacher"]["parameters"] == 61_581
    weights_of = [
        load_weights(done / "distill" / way / "checkpoint.safetensors")[0]
        for way in ("labels-alone", "distilled")
    ]
    assert any(
        weights_of[0][name].tobytes() != weights_of[1][name].tobytes() for name in weights_of[0]
    )


def test_with_other_classes_the_student_answers_in_the_teachers(done):
    assert settings(done / "distill, unlabelled" / "distilled")["classes"] == list("01234")
    rows = result(done / "distill, unlabelled")
    assert all("test_accuracy" not in row for row in rows.values())


def test_without_the_old_images_there_is_no_joint_training(place, done, tmp_path, capsys):
    (tmp_path / "old").mkdir()
    for name in ("settings.json", "checkpoint.safetensors"):
        (tmp_path / "old" / name).write_bytes((place / "old" / name).read_bytes())
    said = settings(tmp_path / "old") | {"dataset": str(tmp_path / "gone")}
    (tmp_path / "old" / "settings.json").write_text(json.dumps(said))
    (tmp_path / "old" / "result.json").write_text("{}")
    line = command_lines(place)["forget-less"]
    line[1] = str(tmp_path / "old")
    assert main([*line, "--out", str(tmp_path / "f")]) == 0
    assert "the old images" in capsys.readouterr().out
    rows = result(tmp_path / "f")
    assert "joint training" not in rows
    expected = result(done / "forget-less")["learning without forgetting"]
    assert (
        rows["learning without forgetting"]["new_test_accuracy"] == (expected["new_test_accuracy"])
    )


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_stopped_after_every_epoch_it_ends_with_the_same_bits(
    place, done, tmp_path, monkeypatch, name
):
    """Each epoch is the last one before an interruption, until nothing is left to be done."""
    save, stops = loop.save_checkpoint, []

    def save_and_stop(*arguments):
        save(*arguments)
        stops.append(arguments[4].epoch)  # of the Progress
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", save_and_stop)
    line, out = command_lines(place)[name], tmp_path / "stopped"
    assert main([*line, "--out", str(out)]) == 130
    while main([line[0], "--resume", "--out", str(out)]) == 130:
        assert len(stops) < 30
    assert len(stops) >= 2
    expected = weights(done / name)
    assert len(expected) > 10
    assert weights(out) == expected
    assert without_times(result(out)) == without_times(result(done / name))


def test_stopped_before_a_result_was_written_it_is_measured_again(
    place, done, tmp_path, monkeypatch
):
    line, out = command_lines(place)["distill"], tmp_path / "stopped"
    with monkeypatch.context() as patch:
        patch.setattr(Run, "write_result", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main([*line, "--out", str(out)]) == 130
    assert main(["distill", "--resume", "--out", str(out)]) == 0
    assert weights(out) == weights(done / "distill")


def test_killed_in_mid_run_it_ends_with_the_same_bits(place, tmp_path):
    """kill -9 while the second way is trained."""
    line = command_lines(place)["transfer"]
    line[line.index("--epochs") + 1] = "12"
    command = [sys.executable, "-m", "minivision", *line, "--augment", "crop", "--out"]
    peaceful, killed = tmp_path / "peaceful", tmp_path / "killed"
    subprocess.run([*command, str(peaceful)], check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not any("frozen" in str(path) for path in killed.rglob("metrics.jsonl")):
        assert process.poll() is None, "the command ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "result.json").exists()
    assert main(["transfer", "--resume", "--out", str(killed)]) == 0
    assert weights(killed) == weights(peaceful)


def test_what_is_done_is_not_measured_again(done, capsys):
    parts = ("scratch", "frozen", "fine-tuned")
    before = [(done / "transfer" / way / "result.json").stat().st_mtime_ns for way in parts]
    shown = result(done / "transfer")
    assert main(["transfer", "--resume", "--out", str(done / "transfer")]) == 0
    after = [(done / "transfer" / way / "result.json").stat().st_mtime_ns for way in parts]
    assert after == before
    assert result(done / "transfer") == shown
    assert "epoch" not in capsys.readouterr().err


def test_a_transferred_network_can_be_transferred_again(place, done, tmp_path, capsys):
    run = str(done / "transfer" / "fine-tuned")
    line = ["transfer", run, "--dataset", str(place / "low"), "--epochs", "1", "--limit", "10"]
    assert main([*line, "--out", str(tmp_path / "t")]) == 0
    expected = result(tmp_path / "t")["frozen"]["test_accuracy"]
    assert printed_accuracy(tmp_path / "t" / "frozen", capsys) == f"{expected:.2%}"


# What is wrong, the command, what is given in place of the usual, and a part of the sentence.
WRONG = {
    "no run": ("transfer", {1: "nowhere"}, [], "there is no run at"),
    "no dataset": ("transfer", {3: "nowhere"}, [], "neither a known dataset (digits, shapes,"),
    "too many layers": ("transfer", {}, ["--layers", "9"], "layers is 9; expected 1 to 3"),
    "unknown policy": ("transfer", {}, ["--augment", "flop"], "'flop'; expected none"),
    "mixed labels": ("transfer", {}, ["--augment", "mixup"], "--augment: mixup mixes"),
    "grey digits": ("transfer", {3: "digits"}, [], "the images of digits have 1 channel"),
    "grey digits, too": ("forget-less", {3: "digits"}, [], "the images of digits have 1 channel"),
    "T = 0": ("distill", {}, ["--temperature", "0"], "expected a number from 0.001 to 1000"),
    "T < 0": ("forget-less", {}, ["--temperature", "-1"], "--temperature is -1.0; expected"),
    "T = NaN": ("distill", {}, ["--temperature", "nan"], "expected a number from 0.001 to 1000"),
    "T = 1e8": ("distill", {}, ["--temperature", "1e8"], "--temperature is 100000000.0; expected"),
    "T = 1e300": ("forget-less", {}, ["--temperature", "1e300"], "is 1e+300; expected a number"),
    "alpha = 2": ("distill", {}, ["--alpha", "2"], "--alpha is 2.0; expected a number from 0 to 1"),
    "alpha of no labels": ("distill", {}, ["--alpha", "0.5", "--no-labels"], "--no-labels"),
    "unknown student": ("distill", {3: "lenet6"}, [], "'lenet6'; expected one of softmax_reg"),
    "a folder of results": ("transfer", {1: "done/transfer"}, [], "was not written by train"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_done_is_said_in_one_line_and_leaves_nothing(
    place, done, tmp_path, capsys, case
):
    command, changed, more, sentence = WRONG[case]
    line = command_lines(place)[command]
    for i, word in changed.items():
        line[i] = str(place / word) if i == 1 else word
    assert sentence in refused(capsys, *line, *more, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_classes_need_no_labels(place, tmp_path, capsys):
    line = ["distill", place / "old", "--dataset", place / "high", "--out", tmp_path / "out"]
    error = refused(capsys, *line)
    assert "the teacher knows 0, 1, 2, 3, 4, but" in error
    assert "--no-labels" in error


def test_a_class_without_images_is_refused(place, tmp_path, capsys):
    for k in (5, 6):
        (tmp_path / "new" / str(k)).mkdir(parents=True)
    for path in (place / "high" / "5").iterdir():
        (tmp_path / "new" / "5" / path.name).write_bytes(path.read_bytes())
    for command in ("transfer", "forget-less"):
        error = refused(capsys, command, place / "old", "--dataset", tmp_path / "new")
        assert f"{tmp_path / 'new' / '6'} has no images" in error


def test_a_checkpoint_of_another_architecture_is_refused(place, tmp_path, capsys):
    for name in ("settings.json", "checkpoint.safetensors", "result.json"):
        (tmp_path / name).write_bytes((place / "old" / name).read_bytes())
    said = settings(tmp_path) | {"model": "lenet5_lecture"}
    (tmp_path / "settings.json").write_text(json.dumps(said))
    for command, line in command_lines(place).items():
        line[1] = tmp_path
        error = refused(capsys, *line, "--out", tmp_path / "out")
        assert "is a checkpoint of another model" in error, command
        assert not (tmp_path / "out").exists()


def test_resume_keeps_the_settings_and_the_command(place, done, capsys):
    folder = done / "transfer"
    assert "--resume needs --out" in refused(capsys, "transfer", "--resume")
    for option, value, was in (("--epochs", 3, 2), ("--dataset", "digits", "high"),
                               ("--layers", 2, 1), ("--hidden", 9, "not given")):  # fmt: skip
        error = refused(capsys, "transfer", "--resume", "--out", folder, option, value)
        assert f"{option} is {value}, but for {folder} it was" in error
        assert f"{was}; leave it out" in error
    equal = [*command_lines(place)["transfer"], "--resume", "--out", str(folder)]
    assert main(equal) == 0
    error = refused(capsys, "distill", "--resume", "--out", folder)
    assert "was not written by minivision distill" in error
    error = refused(capsys, *command_lines(place)["transfer"], "--out", folder)
    assert "already holds a run" in error


@pytest.mark.parametrize("entry", ["epochs", "images", "augment"])
def test_a_folder_whose_settings_lack_an_entry_is_refused_by_name(done, tmp_path, capsys, entry):
    shutil.copytree(done / "transfer", tmp_path / "t")
    said = settings(done / "transfer")
    del said[entry]
    (tmp_path / "t" / "settings.json").write_text(json.dumps(said))
    error = refused(capsys, "transfer", "--resume", "--out", tmp_path / "t")
    assert f"settings.json: '{entry}' is missing" in error


def test_a_folder_of_another_version_is_refused_with_both(place, done, tmp_path, capsys):
    shutil.copytree(done / "transfer", tmp_path / "t")
    file = tmp_path / "t" / "settings.json"
    for versions in ({"minivision": "0.1.3"}, {}):
        file.write_text(json.dumps(settings(done / "transfer") | {"versions": versions}))
        error = refused(capsys, "transfer", "--resume", "--out", tmp_path / "t")
        assert f"begun by minivision {versions.get('minivision', '0.1')}, and this is 0." in error


def test_a_network_for_grey_images_gets_grey_images(place, tmp_path, capsys):
    """Also where they lie in colour in a folder, and where the network is transferred twice."""
    assert main(["train", "--limit", "50", "--epochs", "1", "--out", str(tmp_path / "old")]) == 0
    new = ["--dataset", str(place / "high"), "--epochs", "1", "--limit", "20"]
    old = str(tmp_path / "old")
    head = ["--layers", "2", "--hidden", "10"]
    assert main(["transfer", old, *new, *head, "--out", str(tmp_path / "t")]) == 0
    for way, row in result(tmp_path / "t").items():
        run = tmp_path / "t" / way
        assert settings(run)["channels"] == 1
        assert printed_accuracy(run, capsys) == f"{row['test_accuracy']:.2%}"
    transferred = str(tmp_path / "t" / "fine-tuned")
    other = ["--dataset", str(place / "low"), *new[2:]]
    assert main(["forget-less", transferred, *other, "--out", str(tmp_path / "f")]) == 0
    for way, row in result(tmp_path / "f").items():
        for task in ("old", "new") if way != "before" else ():
            run = tmp_path / "f" / way.replace(" ", "-") / task
            assert printed_accuracy(run, capsys) == f"{row[f'{task}_test_accuracy']:.2%}"


def test_old_images_of_other_classes_are_not_taken_for_the_old_ones(place, tmp_path, capsys):
    """The folder had a class more when the old network was trained."""
    for k in "012":
        (tmp_path / "pets" / k).mkdir(parents=True)
        for path in list((place / "low" / k).iterdir())[:12]:
            (tmp_path / "pets" / k / path.name).write_bytes(path.read_bytes())
    train = ["train", "--dataset", str(tmp_path / "pets"), "--epochs", "1"]
    assert main([*train, "--out", str(tmp_path / "old")]) == 0
    (tmp_path / "pets" / "0").rename(tmp_path / "pets" / "9")
    line = command_lines(place)["forget-less"]
    line[1] = str(tmp_path / "old")
    assert main([*line, "--out", str(tmp_path / "f")]) == 0
    assert "was trained on the classes 0, 1, 2, but" in capsys.readouterr().out
    assert all("old_test_accuracy" not in row for row in result(tmp_path / "f").values())


def test_a_policy_from_a_file_is_found_again_from_another_folder(place, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "here" / "flip.json").write_text('{"transform": "RandomHorizontalFlip", "p": 0.5}')
    monkeypatch.chdir(tmp_path / "here")
    line = [*command_lines(place)["transfer"], "--augment", "flip.json"]
    with monkeypatch.context() as patch:
        patch.setattr(Run, "write_result", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main([*line, "--out", str(tmp_path / "t")]) == 130
    monkeypatch.chdir(tmp_path / "there")
    assert main(["transfer", "--resume", "--out", str(tmp_path / "t")]) == 0
