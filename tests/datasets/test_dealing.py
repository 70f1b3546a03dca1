"""Your own images are dealt to the parts by name, and later changes are noticed."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minivision.datasets.file_dataset import Member
from minivision.datasets.fingerprint import changes, check_fingerprint, fingerprint, stamps
from minivision.datasets.splits import SHARES, deal_by_name, part_by_name, place_of
from tests.refusals import refused

names = st.builds("{}/{}.png".format, st.sampled_from("abc"), st.integers(0, 10**6))


@given(st.sets(names, min_size=60, max_size=100), st.sets(names, max_size=20))
def test_deal_by_name_moves_no_image_when_others_are_added(old, new):
    """Whatever is added or removed, all other images stay in their part."""
    before, after = deal_by_name(sorted(old)), deal_by_name(sorted(old | new))
    # In such a small folder a part may be empty by chance, and is then filled by another rule.
    assume(all(before[part] == by_name(old, part) for part in before))
    for part in before:
        assert set(after[part]) & old == set(before[part])
        assert set(after[part]) - old == set(by_name(new - old, part))


def by_name(images, part):
    return [name for name in sorted(images) if part_by_name(name) == part]


@given(st.sets(names, max_size=12), st.sampled_from([(), ("test",), ("validation", "test")]))
def test_deal_by_name_makes_disjoint_parts_and_trains_every_class(images, parts):
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


def test_deal_by_name_gives_every_class_its_share_on_average():
    dealt = deal_by_name([f"{c}/{i}.jpg" for c in "abcde" for i in range(2000)])
    for part, share in SHARES.items():
        counts = np.unique([name[0] for name in dealt[part]], return_counts=True)[1]
        # Five standard deviations of a binomial distribution.
        assert np.all(abs(counts - 2000 * share) < 5 * np.sqrt(2000 * share * (1 - share)))


def test_part_by_name_depends_on_the_class():
    same = [part_by_name(f"cat/{i}.png") == part_by_name(f"dog/{i}.png") for i in range(500)]
    assert 0.4 < np.mean(same) < 0.7  # 0.7² + 0.1² + 0.2² = 0.54 if they are independent


def test_place_of_ignores_how_an_accent_is_encoded():
    assert place_of("caf\u00e9/1.png") == place_of("cafe\u0301/1.png")


def test_changes_name_what_is_missing_changed_or_new():
    then = {"cat/1.png": Member("1", b"one"), "cat/2.png": Member("2", b"two"), "cat/3.png": None}
    recorded = stamps({"cat/1.png": then["cat/1.png"], "cat/2.png": then["cat/2.png"]})
    recorded["cat/3.png"] = "3 00000000"
    now = {"cat/1.png": Member("1", b"one"), "cat/2.png": Member("2", b"Two"), "dog/4.png": None}
    found = changes(recorded, now)
    assert found == (["cat/3.png"], ["cat/2.png"], ["dog/4.png"])
    assert str(found) == "missing: cat/3.png; changed: cat/2.png; new: dog/4.png"


def test_changes_compare_sizes_only_if_only_sizes_are_recorded():
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
def test_check_fingerprint_refuses_an_edited_record(tmp_path, spoil):
    parts = {
        "train": {"cat/2.png": "1 00000000"},
        "validation": {},
        "test": {"cat/1.png": "1 00000000"},
    }
    record = fingerprint(tmp_path, parts)
    check_fingerprint("settings.json", record)
    with refused(ValueError, "settings.json", "'images'"):
        check_fingerprint("settings.json", record | spoil)


def test_check_fingerprint_refuses_a_stamp_that_is_a_number(tmp_path):
    parts = {"train": {}, "validation": {}, "test": {"cat/1.png": "2.9"}}
    record = fingerprint(tmp_path, parts)
    check_fingerprint("settings.json", record)
    with refused(ValueError, "settings.json", "'images'"):
        check_fingerprint("settings.json", record | {"test": {"cat/1.png": 2.9}})
