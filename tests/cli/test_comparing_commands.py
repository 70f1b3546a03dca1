"""transfer, distill and forget-less: two folders of digits and an old network."""

import json

import cv2
import pytest

from minivision.cli import main
from minivision.nn.weights import load_weights
from minivision.training import Run
from tests.cli.command_lines import refuses, result, settings


def run_in(done, path):
    """The run at "command/way…", with the folder of that command."""
    command, _, way = path.partition("/")
    return done(command) / way


def printed_accuracy(folder, capsys):
    capsys.readouterr()
    assert main(["evaluate", str(folder)]) == 0
    return capsys.readouterr().out.split("accuracy")[1].split()[0]


def test_commands_write_results_and_a_picture(done):
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
        assert list(result(done(name))) == expected
        # Without labels of the teacher's classes there is no accuracy, and no curve of it.
        picture = done(name) / "comparison.png"
        assert picture.exists() == (name != "distill, unlabelled")
        assert name == "distill, unlabelled" or cv2.imread(str(picture)).shape[1] > 600


@pytest.mark.parametrize("name", ["transfer", "transfer, augmented"])
def test_transfer_keeps_only_a_frozen_backbone_to_the_bit(place, done, name):
    old = load_weights(place / "old" / "checkpoint.safetensors")[0]
    for way, same in (("frozen", True), ("fine-tuned", False)):
        new = load_weights(done(name) / way / "checkpoint.safetensors")[0]
        backbone = [key for key in new if key.startswith("model.backbone.")]
        assert len(backbone) >= 6
        for key in backbone:
            before = old[key.replace("model.backbone.", "model.")]
            assert (before.tobytes() == new[key].tobytes()) == same, key


@pytest.mark.parametrize("more", [[], ["--layers", "2", "--hidden", "12"]], ids=["1", "2 and 12"])
def test_transfer_from_scratch_has_the_same_architecture(place, tmp_path, more):
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


def test_transfer_accepts_a_backbone_without_weights(place, tmp_path):
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


def test_transfer_with_one_approach_keeps_the_baseline(place, tmp_path):
    line = ["transfer", str(place / "old"), "--dataset", str(place / "high"), "--epochs", "1"]
    assert main([*line, "--approach", "frozen", "--out", str(tmp_path / "t")]) == 0
    assert list(result(tmp_path / "t")) == ["scratch", "frozen"]


@pytest.mark.parametrize("run", ["transfer/fine-tuned", "forget-less/fine-tuning/new"])
def test_commands_standardise_new_images_like_the_old_ones(place, done, run):
    old, new = (settings(folder)["preprocessing"] for folder in (place / "old", run_in(done, run)))
    assert new["dataset"] == old["dataset"]
    assert settings(run_in(done, run))["classes"] == ["5", "6", "7", "8", "9"]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("transfer", "scratch"), ("transfer", "frozen"), ("transfer, augmented", "fine-tuned"),
        ("distill", "labels alone"), ("distill", "distilled"),
    ],
)  # fmt: skip
def test_evaluate_agrees_with_the_result_of_each_run(done, capsys, name, way):
    expected = result(done(name))[way]["test_accuracy"]
    run = done(name) / way.replace(" ", "-")
    assert printed_accuracy(run, capsys) == f"{expected:.2%}"
    assert result(run)["test_accuracy"] == expected


@pytest.mark.parametrize("way", ["fine-tuning", "learning without forgetting", "joint training"])
def test_forget_less_networks_can_be_evaluated_on_both_tasks(place, done, capsys, way):
    for task, image in (("old", "low/3"), ("new", "high/7")):
        run = done("forget-less") / way.replace(" ", "-") / task
        expected = result(done("forget-less"))[way][f"{task}_test_accuracy"]
        assert printed_accuracy(run, capsys) == f"{expected:.2%}"
        picture = next((place / image).iterdir())
        assert main(["predict", str(run), str(picture)]) == 0
        named = set(settings(run)["classes"])
        answers = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "%" in line]
        assert {answer for answer in answers if not answer.startswith("|")} <= named


def test_forget_less_by_feature_extraction_forgets_nothing(done):
    rows = result(done("forget-less"))
    before, frozen = rows["before"], rows["feature extraction"]
    assert frozen["old_test_accuracy"] == before["old_test_accuracy"] > 0.6
    assert rows["fine-tuning"]["new_test_accuracy"] is not None


def test_distill_compares_the_student_with_the_teacher(done):
    rows = result(done("distill"))
    columns = {"parameters", "multiply_adds", "milliseconds", "test_accuracy", "agreement"}
    assert all(columns <= set(row) for row in rows.values())
    assert rows["teacher"]["agreement"] == 1
    assert rows["labels alone"]["parameters"] == rows["distilled"]["parameters"]
    assert rows["distilled"]["parameters"] < rows["teacher"]["parameters"] == 61_581
    weights_of = [
        load_weights(done("distill") / way / "checkpoint.safetensors")[0]
        for way in ("labels-alone", "distilled")
    ]
    assert any(
        weights_of[0][name].tobytes() != weights_of[1][name].tobytes() for name in weights_of[0]
    )


def test_distill_with_other_classes_keeps_the_teachers_classes(done):
    assert settings(done("distill, unlabelled") / "distilled")["classes"] == list("01234")
    rows = result(done("distill, unlabelled"))
    assert all("test_accuracy" not in row for row in rows.values())


def test_forget_less_skips_joint_training_without_the_old_images(
    place, done, lines, tmp_path, capsys
):
    (tmp_path / "old").mkdir()
    for name in ("settings.json", "checkpoint.safetensors"):
        (tmp_path / "old" / name).write_bytes((place / "old" / name).read_bytes())
    said = settings(tmp_path / "old") | {"dataset": str(tmp_path / "gone")}
    (tmp_path / "old" / "settings.json").write_text(json.dumps(said))
    (tmp_path / "old" / "result.json").write_text("{}")
    line = [*lines["forget-less"]]
    line[1] = str(tmp_path / "old")
    assert main([*line, "--out", str(tmp_path / "f")]) == 0
    assert "the old images" in capsys.readouterr().out
    rows = result(tmp_path / "f")
    assert "joint training" not in rows
    expected = result(done("forget-less"))["learning without forgetting"]
    assert (
        rows["learning without forgetting"]["new_test_accuracy"] == (expected["new_test_accuracy"])
    )


def test_transfer_refuses_a_folder_of_results_in_place_of_a_run(place, done, capsys):
    line = ["transfer", done("transfer"), "--dataset", place / "high"]
    refuses(capsys, line, done("transfer"), "not written by train")


def test_transfer_does_not_measure_finished_variants_again(done, capsys):
    parts = ("scratch", "frozen", "fine-tuned")
    before = [(done("transfer") / way / "result.json").stat().st_mtime_ns for way in parts]
    shown = result(done("transfer"))
    assert main(["transfer", "--resume", "--out", str(done("transfer"))]) == 0
    after = [(done("transfer") / way / "result.json").stat().st_mtime_ns for way in parts]
    assert after == before
    assert result(done("transfer")) == shown
    assert "epoch" not in capsys.readouterr().err


def test_transfer_accepts_a_transferred_network(place, done, tmp_path, capsys):
    run = str(done("transfer") / "fine-tuned")
    line = ["transfer", run, "--dataset", str(place / "low"), "--epochs", "1", "--limit", "10"]
    assert main([*line, "--out", str(tmp_path / "t")]) == 0
    expected = result(tmp_path / "t")["frozen"]["test_accuracy"]
    assert printed_accuracy(tmp_path / "t" / "frozen", capsys) == f"{expected:.2%}"


def test_commands_convert_images_for_a_grey_network(place, tmp_path, capsys):
    """Also if the files are in colour, and if the network is transferred twice."""
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


def test_forget_less_ignores_old_images_of_other_classes(place, lines, tmp_path, capsys):
    """The folder had another class when the old network was trained."""
    for k in "012":
        (tmp_path / "pets" / k).mkdir(parents=True)
        for path in list((place / "low" / k).iterdir())[:12]:
            (tmp_path / "pets" / k / path.name).write_bytes(path.read_bytes())
    train = ["train", "--dataset", str(tmp_path / "pets"), "--epochs", "1"]
    assert main([*train, "--out", str(tmp_path / "old")]) == 0
    (tmp_path / "pets" / "0").rename(tmp_path / "pets" / "9")
    line = [*lines["forget-less"]]
    line[1] = str(tmp_path / "old")
    assert main([*line, "--out", str(tmp_path / "f")]) == 0
    assert "was trained on the classes 0, 1, 2, but" in capsys.readouterr().out
    assert all("old_test_accuracy" not in row for row in result(tmp_path / "f").values())


def test_transfer_finds_a_policy_file_again_from_another_folder(lines, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "here" / "flip.json").write_text('{"transform": "RandomHorizontalFlip", "p": 0.5}')
    monkeypatch.chdir(tmp_path / "here")
    line = [*lines["transfer"], "--augment", "flip.json"]
    with monkeypatch.context() as patch:
        patch.setattr(Run, "write_result", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main([*line, "--out", str(tmp_path / "t")]) == 130
    monkeypatch.chdir(tmp_path / "there")
    assert main(["transfer", "--resume", "--out", str(tmp_path / "t")]) == 0
