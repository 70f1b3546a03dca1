"""A run recognises your own images again: no training image ever becomes a test image."""

import hashlib
import json
import re
import shutil
import tarfile

import cv2
import numpy as np
import pytest

from minivision.cli import main
from tests.cli.command_lines import edit, refuses, settings

CLASSES = ("circle", "cross", "square")


def draw(folder, names, seed):
    """Pure noise with meaningless labels: no network can do better than chance on new images."""
    rng = np.random.default_rng(seed)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (28, 28, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A folder of noise with random labels, and a LeNet-5 that has memorised it."""
    place = tmp_path_factory.mktemp("noise")
    draw(place / "photos", [f"{c}/{i}.png" for c in CLASSES for i in range(60)], seed=0)
    train = ["train", "--dataset", str(place / "photos"), "--epochs", "40"]
    assert main([*train, "--out", str(place / "run")]) == 0
    return place


@pytest.fixture
def copy(noise, tmp_path):
    """The folder and the run, to be changed; the run's settings name the folder."""
    shutil.copytree(noise / "photos", tmp_path / "photos")
    shutil.copytree(noise / "run", tmp_path / "run")
    edit(tmp_path / "run", dataset=str(tmp_path / "photos"))
    return tmp_path


def evaluate(capsys, run):
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 0
    said = capsys.readouterr().out
    return float(re.search(r"accuracy +([\d.]+)%", said)[1]), said


def test_train_records_a_fingerprint_and_the_names_of_the_images(noise):
    record = settings(noise / "run")["images"]
    assert record["count"] == 180
    assert len(record["digest"]) == 64
    assert record["archive_sha256"] is None
    assert {len(record[part]) > 0 for part in ("train", "validation", "test")} == {True}
    for name in record["test"]:
        assert (noise / "photos" / name).stat().st_size == int(record["test"][name].split()[0])


def test_evaluate_on_noise_stays_at_chance_when_images_come_and_go(copy, capsys):
    before, said = evaluate(capsys, copy / "run")
    images = len(settings(copy / "run")["images"]["test"])
    assert f"on {images} test images" in said
    assert "note:" not in said
    assert before < 60  # chance is 33 %, and the network has memorised its training images
    draw(copy / "photos", [f"{c}/new{i}.png" for c in CLASSES for i in range(4)], seed=1)
    gone = [f"{c}/{i}.png" for c, i in zip(CLASSES * 2, range(5), strict=False)]
    for name in gone:
        (copy / "photos" / name).unlink()
    after, said = evaluate(capsys, copy / "run")
    missing = [name for name in settings(copy / "run")["images"]["test"] if name in gone]
    assert f"on {images - len(missing)} test images" in said
    assert f"{len(missing)} are missing and 0 have changed" in said
    assert abs(after - before) < 5


def test_evaluate_leaves_out_and_names_changed_test_images(copy, capsys):
    first, second = list(settings(copy / "run")["images"]["test"])[:2]
    shutil.copy(copy / "photos" / first, copy / "photos" / second)
    _, said = evaluate(capsys, copy / "run")
    assert "0 are missing and 1 have changed and are left out; 0 are new and not used" in said
    assert f"(changed: {second})" in said


def test_evaluate_refuses_a_test_set_that_is_gone(copy, capsys):
    for name in settings(copy / "run")["images"]["test"]:
        (copy / "photos" / name).unlink()
    refuses(capsys, ["evaluate", copy / "run"], copy / "run", copy / "photos", "none of the test")


def added(folder, train):
    draw(folder, [f"cross/extra{i}.png" for i in range(20)], seed=2)
    return "new: cross/extra"


def removed(folder, train):
    (folder / train[0]).unlink()
    return f"missing: {train[0]}"


def replaced(folder, train):
    draw(folder, train[:1], seed=3)
    return f"changed: {train[0]}"


def moved(folder, train):
    (folder / train[0]).rename(folder / "square" / "moved.png")
    return f"missing: {train[0]}"


def swapped(folder, train):
    """Two images of different classes swap places; names and sizes stay the same."""
    one, other = folder / train[0], folder / train[-1]
    a, b = (cv2.imencode(".bmp", cv2.imread(str(path)))[1].tobytes() for path in (one, other))
    one.write_bytes(b)
    other.write_bytes(a)
    return f"changed: {train[0]}, {train[-1]}"


@pytest.mark.parametrize("change", [added, removed, replaced, moved, swapped])
def test_train_refuses_to_resume_on_other_training_images(copy, capsys, change):
    (copy / "run" / "result.json").unlink()
    record = settings(copy / "run")["images"]
    named = change(copy / "photos", list(record["train"]))
    before = {path.name: path.read_bytes() for path in (copy / "run").iterdir()}
    refuses(
        capsys, ["train", "--resume", "--out", copy / "run"],
        "training images", copy / "photos", copy / "run", named,
    )  # fmt: skip
    assert before == {path.name: path.read_bytes() for path in (copy / "run").iterdir()}


def test_train_resumes_on_the_same_images(copy, capsys):
    result = (copy / "run" / "result.json").read_bytes()
    (copy / "run" / "result.json").unlink()
    assert main(["train", "--resume", "--out", str(copy / "run")]) == 0
    assert (copy / "run" / "result.json").read_bytes() == result


def test_distill_never_tests_on_images_that_the_teacher_was_trained_on(copy, capsys):
    """The same folder again: the teacher's test images stay test images."""
    distill = ["distill", copy / "run", "--epochs", "1", "--student", "softmax_regression"]
    assert main([str(word) for word in [*distill, "--out", copy / "first"]]) == 0
    assert settings(copy / "first")["images"] == settings(copy / "run")["images"]
    removed(copy / "photos", list(settings(copy / "run")["images"]["train"]))
    for more in (["--out", copy / "second"], ["--out", copy / "first", "--resume"]):
        line = [*distill, *more] if "--resume" not in more else ["distill", *more]
        refuses(capsys, line, "training images", "missing: ")
    draw(copy / "other", [f"{c}/{i}.png" for c in "ab" for i in range(12)], seed=4)
    forget = ["forget-less", copy / "run", "--dataset", copy / "other", "--epochs", "1"]
    refuses(capsys, [*forget, "--out", copy / "third"], "training images", "missing: ")


def test_transfer_refuses_to_resume_on_other_training_images(copy, capsys):
    draw(copy / "other", [f"{c}/{i}.png" for c in "ab" for i in range(12)], seed=4)
    out = ["--out", copy / "transfer"]
    line = ["transfer", copy / "run", "--dataset", copy / "other", "--epochs", "1", *out]
    assert main([str(word) for word in line]) == 0
    name = next(iter(settings(copy / "transfer")["images"]["train"]))
    (copy / "other" / name).unlink()
    refuses(capsys, ["transfer", "--resume", *out], "training images", f"missing: {name}")


def test_transfer_refuses_to_resume_on_other_test_images(copy, capsys):
    draw(copy / "other", [f"{c}/{i}.png" for c in "ab" for i in range(12)], seed=4)
    out = ["--out", copy / "transfer"]
    line = ["transfer", copy / "run", "--dataset", copy / "other", "--epochs", "1", *out]
    assert main([str(word) for word in line]) == 0
    name = next(iter(settings(copy / "transfer")["images"]["test"]))
    (copy / "other" / name).unlink()
    refuses(capsys, ["transfer", "--resume", *out], "test images", f"missing: {name}")


def test_search_augmentation_refuses_the_folder_of_another_command(copy, capsys):
    draw(copy / "other", [f"{c}/{i}.png" for c in "ab" for i in range(12)], seed=4)
    out = ["--dataset", copy / "other", "--out", copy / "transfer"]
    line = ["transfer", copy / "run", "--epochs", "1", *out]
    assert main([str(word) for word in line]) == 0
    words = ["search-augmentation", "--epochs", "1", *out]
    refuses(capsys, words, "search: ", copy / "transfer", "started with")


def test_evaluate_needs_no_training_images(copy, capsys):
    for name in settings(copy / "run")["images"]["train"]:
        (copy / "photos" / name).unlink()
    accuracy, said = evaluate(capsys, copy / "run")
    assert f"accuracy            {accuracy:.2f}%" in said
    assert "note:" not in said


def test_evaluate_counts_an_unreadable_test_image_as_changed(copy, capsys):
    name = next(iter(settings(copy / "run")["images"]["test"]))
    (copy / "photos" / name).unlink()
    (copy / "photos" / name).symlink_to(copy / "nowhere.png")
    _, said = evaluate(capsys, copy / "run")
    assert f"(changed: {name})" in said


def test_pseudo_label_refuses_to_resume_on_other_unlabelled_images(copy, capsys):
    draw(copy / "many", [f"{i}.png" for i in range(30)], seed=5)
    out = ["--out", copy / "pseudo"]
    line = ["pseudo-label", "--labelled", copy / "photos", "--unlabelled", copy / "many", *out]
    short = ["--model", "softmax_regression", "--epochs", "1"]
    assert main([str(word) for word in [*line, *short]]) == 0
    (copy / "many" / "3.png").unlink()
    refuses(capsys, ["pseudo-label", "--resume", *out], copy / "many", "missing: 3.png")


def test_search_augmentation_refuses_to_resume_on_other_images(copy, capsys):
    line = ["search-augmentation", "--dataset", copy / "photos", "--model", "softmax_regression"]
    line += ["--budget", "2", "--epochs", "1", "--processes", "1", "--out", copy / "search"]
    assert main([str(word) for word in line]) == 0
    assert main([str(word) for word in line]) == 0  # everything is done already
    name = removed(copy / "photos", list(settings(copy / "search")["images"]["train"]))
    refuses(capsys, line, "training images", name)


def test_train_records_the_checksum_of_an_archive_and_accepts_it_repacked(copy, capsys):
    photos = copy / "photos.tar.gz"
    pack(photos, copy / "photos")
    line = ["train", "--dataset", photos, "--epochs", "1", "--out", copy / "packed"]
    assert main([str(word) for word in line]) == 0
    record = settings(copy / "packed")["images"]
    assert record["archive_sha256"] == hashlib.sha256(photos.read_bytes()).hexdigest()
    assert record["test"] == settings(copy / "run")["images"]["test"]  # split like the folder
    (copy / "packed" / "result.json").unlink()
    pack(photos, copy / "photos", "w:xz")
    assert main(["train", "--resume", "--out", str(copy / "packed")]) == 0
    (copy / "packed" / "result.json").unlink()
    named = removed(copy / "photos", list(record["train"]))
    pack(photos, copy / "photos")
    refuses(capsys, ["train", "--resume", "--out", copy / "packed"], "training images", named)


def pack(path, folder, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        tar.add(folder, "photos")


def test_evaluate_notes_that_an_older_run_has_no_record_of_its_images(copy, capsys):
    without = settings(copy / "run")
    del without["images"], without["digests"]
    (copy / "run" / "settings.json").write_text(json.dumps(without))
    accuracy, said = evaluate(capsys, copy / "run")
    assert f"note: {copy / 'run'} does not record its images" in said
    assert "on 36 test images" in said  # a fifth of 180, as in that version
    assert accuracy >= 0
    (copy / "run" / "result.json").unlink()
    assert main(["train", "--resume", "--out", str(copy / "run")]) == 0
    assert "does not record its images" in capsys.readouterr().out


def test_evaluate_refuses_an_edited_record_of_images(copy, capsys):
    record = settings(copy / "run")["images"]
    name = next(iter(record["train"]))
    record["test"][name] = record["train"].pop(name)
    edit(copy / "run", images=record)
    refuses(capsys, ["evaluate", copy / "run"], "settings.json", "'images'")


# Classes without test images


@pytest.fixture
def half_tested(tmp_path):
    """Three classes to learn, but only one of them has test images."""
    draw(tmp_path / "pets" / "train", [f"{c}/{i}.png" for c in CLASSES for i in range(8)], seed=6)
    draw(
        tmp_path / "pets" / "validation",
        [f"{c}/{i}.png" for c in CLASSES for i in range(2)],
        seed=7,
    )
    draw(tmp_path / "pets" / "test", [f"cross/{i}.png" for i in range(4)], seed=8)
    return tmp_path / "pets"


def test_commands_name_classes_without_test_images_next_to_every_accuracy(
    half_tested, tmp_path, capsys
):
    run, note = tmp_path / "runs" / "run", "(no test image of circle, square)"
    short = ["--epochs", "1"]
    train = ["train", "--model", "lenet5_lecture", "--dataset", half_tested, *short]
    for line in (
        [*train, "--out", run],
        ["train", "--resume", "--out", run],
        ["evaluate", run],
        ["transfer", run, "--dataset", half_tested, *short, "--out", tmp_path / "runs" / "t"],
        ["distill", run, *short, "--out", tmp_path / "runs" / "d"],
        ["forget-less", run, "--dataset", half_tested, *short, "--out", tmp_path / "runs" / "f"],
    ):
        assert main([str(word) for word in line]) == 0
        said = capsys.readouterr().out
        assert note in said, line
        assert "nan" not in said, line
    result = json.loads((run / "result.json").read_text())
    assert result["untested_classes"] == ["circle", "square"]
    assert main(["evaluate", str(run)]) == 0
    assert re.search(r"circle +0 +-\n", capsys.readouterr().out)
    labelled = ["--labelled", str(half_tested), "--unlabelled", str(half_tested / "train")]
    for command in ("pseudo-label", "self-train"):
        out = ["--out", str(tmp_path / "runs" / command)]
        quick = ["--model", "softmax_regression", "--epochs", "12", "--batch-size", "4"]
        assert main([command, *labelled, *quick, *out]) == 0
        said = capsys.readouterr().out
        assert note in said
        assert "nan" not in said
