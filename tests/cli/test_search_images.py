"""`minivision search-images` from the command line, and the index of a folder."""

import json
import os

import cv2
import numpy as np
import pytest

from minivision.analysis.contact_sheet import Found, plot_contact_sheet
from minivision.cli import main
from minivision.datasets import read_image
from minivision.methods.features import ClassicFeatures, folder_index, index_folder
from minivision.methods.features.folder_index import index_file
from minivision.nn.weights import load_weights, save_weights
from tests.cli.command_lines import refuses
from tests.refusals import refused


def picture(kind, seed, H=60, W=80):
    """Stripes, squares or noise, each with its own brightness."""
    rng = np.random.default_rng((ord(kind[0]), ord(kind[1]), seed))
    y, x = np.indices((H, W))
    shift = rng.integers(0, 20)
    drawn = {
        "stripes": (x + shift) // 10 % 2,
        "squares": ((x + shift) // 10 + y // 10) % 2,
        "noise": rng.random((H, W)),
    }[kind]
    grey = rng.uniform(20, 60) + rng.uniform(80, 180) * drawn + rng.normal(0, 2, (H, W))
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.fixture
def photos(tmp_path):
    """A folder of twelve images of different sizes in nested folders."""
    folder = tmp_path / "photos"
    for kind in ("stripes", "squares", "noise"):
        (folder / "some" / kind).mkdir(parents=True)
        for i in range(4):
            path = folder / "some" / kind / f"{i}.png"
            cv2.imwrite(str(path), picture(kind, i, 60 + 7 * i, 90 - 5 * i))
    return folder


def answers(printed):
    """[(rank, distance, name)] of what a search prints."""
    lines = [line.split() for line in printed.splitlines() if line.startswith("   ")]
    return [(int(rank), float(distance), name) for rank, distance, name in lines]


@pytest.mark.parametrize("parts", ["local", "global", "both"])
def test_search_images_finds_and_draws_the_images_of_the_same_kind(photos, tmp_path, capsys, parts):
    query, out = tmp_path / "query.png", tmp_path / "sheet.png"
    cv2.imwrite(str(query), picture("squares", 9, 70, 70))
    words = ["search-images", str(photos), str(query), "--k", "4", "--parts", parts]
    assert main([*words, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "12 images (12 .png)" in printed
    assert f"see {out}" in printed
    found = answers(printed)
    assert [rank for rank, _, _ in found] == [1, 2, 3, 4]
    assert [distance for _, distance, _ in found] == sorted(d for _, d, _ in found)
    assert {name.split("/")[1] for _, _, name in found} == {"squares"}
    assert cv2.imread(str(out)) is not None


def test_search_images_does_not_find_the_query_itself(photos, tmp_path, capsys):
    query = photos / "some" / "noise" / "2.png"
    out = str(tmp_path / "sheet.png")
    assert main(["search-images", str(photos), str(query), "--k", "40", "--out", out]) == 0
    printed = capsys.readouterr().out
    names = [name for _, _, name in answers(printed)] + [
        line.split()[2] for line in printed.splitlines() if line.startswith("  1")
    ]
    assert "--k is 40, but there are only 12 images" in printed
    assert len(set(names)) == 11
    assert "some/noise/2.png" not in names


def test_index_folder_describes_only_new_and_changed_images_again(photos):
    first = index_folder(photos, ClassicFeatures())
    assert first.described == 12
    again = index_folder(photos, ClassicFeatures())
    assert again.described == 0
    for part in ("local", "global"):
        np.testing.assert_array_equal(again.parts[part], first.parts[part])

    cv2.imwrite(str(photos / "new.png"), picture("noise", 77))
    changed, gone = photos / "some/noise/1.png", photos / "some/stripes/3.png"
    cv2.imwrite(str(changed), picture("squares", 5))
    gone.unlink()
    later = index_folder(photos, ClassicFeatures())
    assert later.described == 2
    assert set(later.names) == set(first.names) - {"some/stripes/3.png"} | {"new.png"}
    fresh = ClassicFeatures()([read_image(photos / name) for name in later.names])
    for part, rows in fresh.items():
        np.testing.assert_array_equal(later.parts[part], rows)
    assert index_folder(photos, ClassicFeatures(points=5)).described == 12  # other features


@pytest.mark.parametrize(
    "other",
    [
        {"features": "classic", "longest": 256, "patch": 16, "points": 100},  # before OpenCV's
        ClassicFeatures().describe() | {"opencv": "4.12.0"},
        ClassicFeatures().describe() | {"patch": 8},
    ],
)
def test_index_folder_does_not_mix_features_of_another_kind(photos, other):
    first = index_folder(photos, ClassicFeatures())
    path = index_file(photos, ClassicFeatures())
    arrays, metadata = load_weights(path)
    wrong = {part: np.full_like(rows, 7) for part, rows in arrays.items()}
    save_weights(path, wrong, metadata)
    assert np.all(
        index_folder(photos, ClassicFeatures()).parts["local"] == 7
    )  # the index is trusted
    save_weights(path, wrong, metadata | {"features": json.dumps(other, sort_keys=True)})
    again = index_folder(photos, ClassicFeatures())
    assert (again.described, again.notes) == (12, [])
    for part, rows in first.parts.items():
        np.testing.assert_array_equal(again.parts[part], rows)
    assert index_folder(photos, ClassicFeatures()).described == 0


def test_index_folder_removes_files_that_are_gone(photos):
    index_folder(photos, ClassicFeatures())
    path = index_file(photos, ClassicFeatures())
    before = path.stat().st_size
    for i in range(3):
        (photos / f"some/noise/{i}.png").unlink()
    assert len(index_folder(photos, ClassicFeatures()).names) == 9
    assert path.stat().st_size < before - 3 * 8 * (128 + 59)


def test_index_folder_notices_a_file_of_the_same_size_by_its_time(photos):
    path = photos / "some/noise/0.png"
    index_folder(photos, ClassicFeatures())
    stamp = path.stat().st_mtime_ns
    os.utime(path, ns=(stamp + 1_000, stamp + 1_000))
    assert index_folder(photos, ClassicFeatures()).described == 1


def test_search_images_names_broken_files_and_ignores_hidden_ones(photos, tmp_path, capsys):
    whole = (photos / "some/noise/0.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[:300])
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "notes.txt").write_text("no image")
    (photos / ".trash").mkdir()
    (photos / ".trash" / "old.png").write_bytes(whole)
    cv2.imwrite(str(photos / "dot.png"), np.zeros((2, 2, 3), np.uint8))
    query, out = str(photos / "some/noise/3.png"), str(tmp_path / "sheet.png")
    assert main(["search-images", str(photos), query, "--out", out]) == 0
    printed = capsys.readouterr().out
    assert "12 images (12 .png)" in printed
    assert "3 files are skipped:" in printed
    assert "cut.png is truncated" in printed
    assert "empty.jpg is empty" in printed
    assert "dot.png cannot be described: lbp_codes: image is 2x2; expected at least" in printed
    assert "notes" not in printed
    assert "old" not in printed


def test_index_folder_rebuilds_a_damaged_index_and_says_so(photos):
    first = index_folder(photos, ClassicFeatures())
    path = index_file(photos, ClassicFeatures())
    whole = path.read_bytes()
    for data in (whole[:200], b"", whole[:-1] + bytes([whole[-1] ^ 1])):  # one bit, in the end
        path.write_bytes(data)
        again = index_folder(photos, ClassicFeatures())
        assert again.described == 12
        assert "the index could not be read" in again.notes[0]
        np.testing.assert_array_equal(again.parts["local"], first.parts["local"])
        assert index_folder(photos, ClassicFeatures()).notes == []


@pytest.mark.parametrize(
    "files", ["5", '[["a.png", [1, 2], 3]]', "[5]", "[" * 100_000, "[[[], 1]]"]
)
def test_index_folder_rebuilds_an_index_with_a_damaged_list_of_files(photos, files):
    index_folder(photos, ClassicFeatures())
    path = index_file(photos, ClassicFeatures())
    arrays, metadata = load_weights(path)
    save_weights(path, arrays, metadata | {"files": files})
    again = index_folder(photos, ClassicFeatures())
    assert again.described == 12
    assert "the index could not be read" in again.notes[0]


def test_index_folder_keeps_what_was_described_before_an_interruption(photos, monkeypatch):
    class Interrupted(ClassicFeatures):
        calls = 0

        def __call__(self, images):
            Interrupted.calls += 1
            if Interrupted.calls > 5:
                raise KeyboardInterrupt
            return super().__call__(images)

    with pytest.raises(KeyboardInterrupt):
        index_folder(photos, Interrupted())
    assert index_folder(photos, ClassicFeatures()).described == 7


def test_index_folder_works_with_a_folder_that_is_read_only(photos, monkeypatch):
    def refuse(path, arrays, metadata):
        raise PermissionError(f"cannot write {path}: Permission denied")

    monkeypatch.setattr(folder_index, "save_weights", refuse)
    index = index_folder(photos, ClassicFeatures())
    assert len(index.names) == 12
    assert "the index could not be saved" in index.notes[0]


def test_search_images_describes_images_by_the_network_of_a_run(tmp_path, capsys):
    run, folder = tmp_path / "run", tmp_path / "photos"
    words = ["train", "--epochs", "1", "--limit", "100", "--device", "cpu", "--out", str(run)]
    assert main(words) == 0
    folder.mkdir()
    for i in range(6):
        image = np.zeros((40, 40), np.uint8)
        cv2.putText(image, str(i % 2), (8, 33), cv2.FONT_HERSHEY_SIMPLEX, 1 + i / 20, 255, 2)
        cv2.imwrite(str(folder / f"{i}.png"), image)
    out = str(tmp_path / "sheet.png")
    query = ["search-images", str(folder), str(folder / "0.png"), "--run", str(run), "--k", "2"]
    capsys.readouterr()
    assert main([*query, "--device", "cpu", "--out", out]) == 0
    assert {name for _, _, name in answers(capsys.readouterr().out)} == {"2.png", "4.png"}
    assert [path.name for path in folder.glob(".*")] == [".minivision-deep.safetensors"]
    assert main([*query, "--device", "cpu", "--out", out]) == 0
    assert "0 of the images are new" in capsys.readouterr().out


def test_search_images_refuses_a_folder_whose_only_image_is_the_query(tmp_path, capsys):
    path = tmp_path / "photos" / "a.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), picture("noise", 0))
    refuses(capsys, ["search-images", path.parent, path], path, "only image")


# ── the sheet ────────────────────────────────────────────────────────────────────────────────


def test_plot_contact_sheet_has_the_query_and_six_images_per_row():
    image = picture("squares", 0, 300, 500)
    found = [Found(image, f"folder/with/a/long/name/{i}.png", i / 3) for i in range(8)]
    figure = plot_contact_sheet([(image, "query.png"), (image, "b.png")], [found, found[:2]])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "query", "0.00", "0.33", "0.67", "1.00", "1.33", "1.67", "", "2.00", "2.33", *[""] * 4,
        "query", "0.00", "0.33", *[""] * 4,
    ]  # fmt: skip
    assert figure.axes[1].get_xlabel() == "…h/a/long/name/0.png"
    assert max(figure.axes[0].images[0].get_array().shape) == 240
    with refused(ValueError, "plot_contact_sheet", "1"):
        plot_contact_sheet([(image, "query.png")], [[]])
