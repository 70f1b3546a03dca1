"""A run on images of one's own knows them again: none that was trained on becomes a test image."""

import hashlib
import json
import re
import shutil
import tarfile

import cv2
import numpy as np
import pytest

from minivision.cli import main

CLASSES = ("circle", "cross", "square")


def draw(folder, names, seed):
    """Pure noise, with labels that mean nothing: nobody can do better than chance on new images."""
    rng = np.random.default_rng(seed)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (28, 28, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A folder of noise with random labels, and a LeNet-5 that has learned it by heart."""
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


def settings(run):
    return json.loads((run / "settings.json").read_text())


def edit(run, **changes):
    (run / "settings.json").write_text(json.dumps(settings(run) | changes))


def evaluate(capsys, run):
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 0
    said = capsys.readouterr().out
    return float(re.search(r"accuracy +([\d.]+)%", said)[1]), said


def refused(capsys, *argv):
    capsys.readouterr()
    assert main([str(word) for word in argv]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_settings_keep_a_fingerprint_and_the_names_of_the_test_images(noise):
    record = settings(noise / "run")["images"]
    assert record["count"] == 180
    assert len(record["digest"]) == 64
    assert record["archive_sha256"] is None
    assert {len(record[part]) > 0 for part in ("train", "validation", "test")} == {True}
    for name in record["test"]:
        assert (noise / "photos" / name).stat().st_size == int(record["test"][name].split()[0])


def test_accuracy_on_noise_stays_chance_when_images_come_and_go(copy, capsys):
    before, said = evaluate(capsys, copy / "run")
    images = len(settings(copy / "run")["images"]["test"])
    assert f"on {images} test images" in said
    assert "note:" not in said
    assert before < 60  # chance is 33 %, and the network knows its training images by heart
    draw(copy / "photos", [f"{c}/new{i}.png" for c in CLASSES for i in range(4)], seed=1)
    gone = [f"{c}/{i}.png" for c, i in zip(CLASSES * 2, range(5), strict=False)]
    for name in gone:
        (copy / "photos" / name).unlink()
    after, said = evaluate(capsys, copy / "run")
    missing = [name for name in settings(copy / "run")["images"]["test"] if name in gone]
    assert f"on {images - len(missing)} test images" in said
    assert f"{len(missing)} are missing and 0 have changed" in said
    assert abs(after - before) < 5


def test_test_images_that_changed_are_left_out_and_named(copy, capsys):
    first, second = list(settings(copy / "run")["images"]["test"])[:2]
    shutil.copy(copy / "photos" / first, copy / "photos" / second)
    _, said = evaluate(capsys, copy / "run")
    assert "0 are missing and 1 have changed, which are left out; 0 are new and not used" in said
    assert f"(changed: {second})" in said


def test_a_test_set_that_is_gone_is_refused(copy, capsys):
    for name in settings(copy / "run")["images"]["test"]:
        (copy / "photos" / name).unlink()
    assert "none of the test images of" in refused(capsys, "evaluate", copy / "run")


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
    """Two images of different classes change places: as many files, of the same names and sizes."""
    one, other = folder / train[0], folder / train[-1]
    a, b = (cv2.imencode(".bmp", cv2.imread(str(path)))[1].tobytes() for path in (one, other))
    one.write_bytes(b)
    other.write_bytes(a)
    return f"changed: {train[0]}, {train[-1]}"


@pytest.mark.parametrize("change", [added, removed, replaced, moved, swapped])
def test_a_run_is_not_resumed_on_other_training_images(copy, capsys, change):
    (copy / "run" / "result.json").unlink()
    record = settings(copy / "run")["images"]
    named = change(copy / "photos", list(record["train"]))
    before = {path.name: path.read_bytes() for path in (copy / "run").iterdir()}
    error = refused(capsys, "train", "--resume", "--out", copy / "run")
    assert (
        f"the training images in {copy / 'photos'} are not those that {copy / 'run'} began" in error
    )
    assert named in error
    assert before == {path.name: path.read_bytes() for path in (copy / "run").iterdir()}


def test_a_run_is_resumed_on_the_images_it_began_with(copy, capsys):
    result = (copy / "run" / "result.json").read_bytes()
    (copy / "run" / "result.json").unlink()
    assert main(["train", "--resume", "--out", str(copy / "run")]) == 0
    assert (copy / "run" / "result.json").read_bytes() == result


def test_an_old_network_is_not_tested_on_images_it_was_trained_on(copy, capsys):
    """The same folder again: the teacher's test images stay test images."""
    distill = ["distill", copy / "run", "--epochs", "1", "--student", "softmax_regression"]
    assert main([str(word) for word in [*distill, "--out", copy / "first"]]) == 0
    assert settings(copy / "first")["images"] == settings(copy / "run")["images"]
    removed(copy / "photos", list(settings(copy / "run")["images"]["train"]))
    for more in (["--out", copy / "second"], ["--out", copy / "first", "--resume"]):
        line = [*distill, *more] if "--resume" not in more else ["distill", *more]
        assert "missing: " in refused(capsys, *line)
    draw(copy / "other", [f"{c}/{i}.png" for c in "ab" for i in range(12)], seed=4)
    forget = ["forget-less", copy / "run", "--dataset", copy / "other", "--epochs", "1"]
    assert "missing: " in refused(capsys, *forget, "--out", copy / "third")


def test_results_are_not_continued_on_other_images(copy, capsys):
    draw(copy / "other", [f"{c}/{i}.png" for c in "ab" for i in range(12)], seed=4)
    out = ["--out", copy / "transfer"]
    line = ["transfer", copy / "run", "--dataset", copy / "other", "--epochs", "1", *out]
    assert main([str(word) for word in line]) == 0
    name = next(iter(settings(copy / "transfer")["images"]["train"]))
    (copy / "other" / name).unlink()
    assert f"missing: {name}" in refused(capsys, "transfer", "--resume", *out)


def test_rows_of_one_table_are_measured_on_the_same_test_images(copy, capsys):
    draw(copy / "other", [f"{c}/{i}.png" for c in "ab" for i in range(12)], seed=4)
    out = ["--out", copy / "transfer"]
    line = ["transfer", copy / "run", "--dataset", copy / "other", "--epochs", "1", *out]
    assert main([str(word) for word in line]) == 0
    name = next(iter(settings(copy / "transfer")["images"]["test"]))
    (copy / "other" / name).unlink()
    error = refused(capsys, "transfer", "--resume", *out)
    assert "the test images in" in error
    assert f"missing: {name}" in error


def test_a_search_in_the_folder_of_another_command_is_refused(copy, capsys):
    draw(copy / "other", [f"{c}/{i}.png" for c in "ab" for i in range(12)], seed=4)
    out = ["--dataset", copy / "other", "--out", copy / "transfer"]
    line = ["transfer", copy / "run", "--epochs", "1", *out]
    assert main([str(word) for word in line]) == 0
    assert "begun with" in refused(capsys, "search-augmentation", "--epochs", "1", *out)


def test_evaluation_needs_no_training_image_any_more(copy, capsys):
    for name in settings(copy / "run")["images"]["train"]:
        (copy / "photos" / name).unlink()
    accuracy, said = evaluate(capsys, copy / "run")
    assert f"accuracy            {accuracy:.2f}%" in said
    assert "note:" not in said


def test_a_test_image_that_cannot_be_read_any_more_has_changed(copy, capsys):
    name = next(iter(settings(copy / "run")["images"]["test"]))
    (copy / "photos" / name).unlink()
    (copy / "photos" / name).symlink_to(copy / "nowhere.png")
    _, said = evaluate(capsys, copy / "run")
    assert f"(changed: {name})" in said


def test_images_without_labels_are_known_again_too(copy, capsys):
    draw(copy / "many", [f"{i}.png" for i in range(30)], seed=5)
    out = ["--out", copy / "pseudo"]
    line = ["pseudo-label", "--labelled", copy / "photos", "--unlabelled", copy / "many", *out]
    short = ["--model", "softmax_regression", "--epochs", "1"]
    assert main([str(word) for word in [*line, *short]]) == 0
    (copy / "many" / "3.png").unlink()
    assert "missing: 3.png" in refused(capsys, "pseudo-label", "--resume", *out)


def test_a_search_is_not_continued_on_other_images(copy, capsys):
    line = ["search-augmentation", "--dataset", copy / "photos", "--model", "softmax_regression"]
    line += ["--budget", "2", "--epochs", "1", "--processes", "1", "--out", copy / "search"]
    assert main([str(word) for word in line]) == 0
    assert main([str(word) for word in line]) == 0  # nothing is left to do
    name = removed(copy / "photos", list(settings(copy / "search")["images"]["train"]))
    assert name in refused(capsys, *line)


def test_an_archive_keeps_its_checksum_and_may_be_packed_again(copy, capsys):
    photos = copy / "photos.tar.gz"
    pack(photos, copy / "photos")
    line = ["train", "--dataset", photos, "--epochs", "1", "--out", copy / "packed"]
    assert main([str(word) for word in line]) == 0
    record = settings(copy / "packed")["images"]
    assert record["archive_sha256"] == hashlib.sha256(photos.read_bytes()).hexdigest()
    assert record["test"] == settings(copy / "run")["images"]["test"]  # dealt as the folder is
    (copy / "packed" / "result.json").unlink()
    pack(photos, copy / "photos", "w:xz")
    assert main(["train", "--resume", "--out", str(copy / "packed")]) == 0
    (copy / "packed" / "result.json").unlink()
    named = removed(copy / "photos", list(record["train"]))
    pack(photos, copy / "photos")
    assert named in refused(capsys, "train", "--resume", "--out", copy / "packed")


def pack(path, folder, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        tar.add(folder, "photos")


def test_an_older_run_is_told_that_it_has_no_record_and_goes_on(copy, capsys):
    without = settings(copy / "run")
    del without["images"], without["digests"]
    (copy / "run" / "settings.json").write_text(json.dumps(without))
    accuracy, said = evaluate(capsys, copy / "run")
    assert f"note: {copy / 'run'} does not record its images" in said
    assert "on 36 test images" in said  # a fifth of 180, as that version dealt them
    assert accuracy >= 0
    (copy / "run" / "result.json").unlink()
    assert main(["train", "--resume", "--out", str(copy / "run")]) == 0
    assert "does not record its images" in capsys.readouterr().out


def test_a_record_that_was_edited_is_refused(copy, capsys):
    record = settings(copy / "run")["images"]
    name = next(iter(record["train"]))
    record["test"][name] = record["train"].pop(name)
    edit(copy / "run", images=record)
    assert "'images', the record of the run's images" in refused(capsys, "evaluate", copy / "run")


# Classes without test images


@pytest.fixture
def half_tested(tmp_path):
    """Three classes to learn, of which the test folder has one; the others have no file there."""
    draw(tmp_path / "pets" / "train", [f"{c}/{i}.png" for c in CLASSES for i in range(8)], seed=6)
    draw(
        tmp_path / "pets" / "validation",
        [f"{c}/{i}.png" for c in CLASSES for i in range(2)],
        seed=7,
    )
    draw(tmp_path / "pets" / "test", [f"cross/{i}.png" for i in range(4)], seed=8)
    return tmp_path / "pets"


def test_classes_without_test_images_are_named_beside_every_accuracy(half_tested, tmp_path, capsys):
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
