"""Images of one's own are dealt to the parts by name, and what has changed since is noticed."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minivision.datasets.file_dataset import Member
from minivision.datasets.fingerprint import changes, check_fingerprint, fingerprint, stamps
from minivision.datasets.splits import SHARES, deal_by_name, part_by_name, place_of

names = st.builds("{}/{}.png".format, st.sampled_from("abc"), st.integers(0, 10**6))


@given(st.sets(names, min_size=60, max_size=100), st.sets(names, max_size=20))
def test_new_images_move_no_other(old, new):
    """Whichever images come or go, the others stay in the part they were in."""
    before, after = deal_by_name(sorted(old)), deal_by_name(sorted(old | new))
    # In a folder this small chance may leave a part empty, and then it is filled by another rule.
    assume(all(before[part] == by_name(old, part) for part in before))
    for part in before:
        assert set(after[part]) & old == set(before[part])
        assert set(after[part]) - old == set(by_name(new - old, part))


def by_name(images, part):
    return [name for name in sorted(images) if part_by_name(name) == part]


@given(st.sets(names, max_size=12), st.sampled_from([(), ("test",), ("validation", "test")]))
def test_parts_are_disjoint_never_empty_and_every_class_is_trained(images, parts):
    classes = {name[0] for name in images}
    try:
        dealt = deal_by_name(sorted(images), parts)
    except ValueError:
        assert len(images) < len(classes) + len(parts)
        return
    assert sorted(name for part in dealt.values() for name in part) == sorted(images)
    assert set(dealt) == {"train", *parts}
    assert all(dealt[part] for part in parts)
    assert {name[0] for name in dealt["train"]} == classes


def test_every_class_has_its_share_on_average():
    dealt = deal_by_name([f"{c}/{i}.jpg" for c in "abcde" for i in range(2000)])
    for part, share in SHARES.items():
        counts = np.unique([name[0] for name in dealt[part]], return_counts=True)[1]
        # Five standard deviations of a binomial number.
        assert np.all(abs(counts - 2000 * share) < 5 * np.sqrt(2000 * share * (1 - share)))


def test_the_same_name_in_another_class_is_another_image():
    same = [part_by_name(f"cat/{i}.png") == part_by_name(f"dog/{i}.png") for i in range(500)]
    assert 0.4 < np.mean(same) < 0.7  # 0.7² + 0.1² + 0.2² = 0.54 if they have nothing in common


def test_an_accent_may_be_one_character_or_two():
    assert place_of("caf\u00e9/1.png") == place_of("cafe\u0301/1.png")


def test_what_is_missing_changed_or_new_is_told_by_name():
    then = {"cat/1.png": Member("1", b"one"), "cat/2.png": Member("2", b"two"), "cat/3.png": None}
    recorded = stamps({"cat/1.png": then["cat/1.png"], "cat/2.png": then["cat/2.png"]})
    recorded["cat/3.png"] = "3 00000000"
    now = {"cat/1.png": Member("1", b"one"), "cat/2.png": Member("2", b"Two"), "dog/4.png": None}
    found = changes(recorded, now)
    assert found == (["cat/3.png"], ["cat/2.png"], ["dog/4.png"])
    assert str(found) == "missing: cat/3.png; changed: cat/2.png; new: dog/4.png"


def test_a_large_dataset_is_told_by_its_sizes():
    recorded = stamps({"a": Member("a", b"123")}, contents=False)
    assert not any(changes(recorded, {"a": Member("a", b"456")}))
    assert changes(recorded, {"a": Member("a", b"1234")}).changed == ["a"]


@pytest.mark.parametrize(
    "spoil",
    [
        {"test": {}},
        {"test": {"cat/1.png": "9 00000000"}},
        {"train": {}, "test": {"cat/1.png": "1 00000000", "cat/2.png": "1 00000000"}},
        {"validation": None},
        {"train": 3},
        {"digest": None},
        {"test": {"\ud800.png": "1 00000000"}},
    ],
    ids=str,
)
def test_a_record_that_was_edited_is_refused(tmp_path, spoil):
    parts = {
        "train": {"cat/2.png": "1 00000000"},
        "validation": {},
        "test": {"cat/1.png": "1 00000000"},
    }
    record = fingerprint(tmp_path, parts)
    check_fingerprint("settings.json", record)
    with pytest.raises(ValueError, match=r"settings\.json: 'images'"):
        check_fingerprint("settings.json", record | spoil)


def test_a_stamp_that_is_a_number_is_refused_whatever_the_digest_says(tmp_path):
    parts = {"train": {}, "validation": {}, "test": {"cat/1.png": "2.9"}}
    record = fingerprint(tmp_path, parts)
    check_fingerprint("settings.json", record)
    with pytest.raises(ValueError, match=r"settings\.json: 'images'"):
        check_fingerprint("settings.json", record | {"test": {"cat/1.png": 2.9}})
