"""The search over augmentation policies: fair, resumable, independent of the processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minivision.datasets import ArrayDataset
from minivision.fast import worker_count
from minivision.methods import (
    NONE,
    Candidate,
    Grid,
    RandomSequences,
    Trial,
    augmentation_search,
    best_of,
    policy_name,
    search,
)
from minivision.methods.parallel_trials import run_trials
from minivision.models import lenet5
from minivision.transforms import (
    Normalize,
    OperationSequence,
    RandAugment,
    RandomCrop,
    ToArray,
    describe,
    from_description,
)
from tests.refusals import refused

SEQUENCES = RandomSequences()


def length_of(policy, seed):
    """A score that needs no training."""
    return seed + (0 if policy == NONE else len(policy.operations) / 10)


def failing(policy, seed):
    if policy != NONE and policy == SEQUENCES(2, 0):
        raise ValueError("the image is\ntoo small")
    return length_of(policy, seed)


def killed(policy, seed):
    if policy == SEQUENCES(1, 0):
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.0


def noisy(policy, seed):
    print("epoch 1/1")
    raise KeyError("a mistake in the code")


def scores(found):
    return [candidate.score for candidate in found]


# ── what is tried ────────────────────────────────────────────────────────────────────────────


def test_search_starts_with_no_augmentation_and_a_larger_budget_only_adds():
    few, many = (search(SEQUENCES, length_of, budget, 3, processes=0) for budget in (2, 7))
    assert [candidate.number for candidate in many] == list(range(7))
    assert many[0].policy == NONE
    assert [c.policy for c in many[:2]] == [c.policy for c in few]
    assert len({str(c.policy) for c in many}) == 7


def test_grid_tries_every_pair_once_in_an_order_set_by_the_seed():
    grid = Grid((1, 3), (5, 10.5, 20), fill=0)
    orders = [[(p.count, p.magnitude) for p in (grid(n, seed) for n in range(1, 7))]
              for seed in (0, 1)]  # fmt: skip
    assert sorted(orders[0]) == [(N, M) for N in (1, 3) for M in (5, 10.5, 20)]
    assert sorted(orders[1]) == sorted(orders[0])
    assert orders[1] != orders[0]


def test_random_sequences_have_one_to_three_operations_of_all_kinds():
    policies = [SEQUENCES(number, 0) for number in range(1, 400)]
    operations = [pair for policy in policies for pair in policy.operations]
    assert {len(policy.operations) for policy in policies} == {1, 2, 3}
    assert len({name for name, _ in operations}) == 13
    assert "identity" not in {name for name, _ in operations}
    assert {magnitude for _, magnitude in operations} == set(range(1, 31))
    assert {policy.probability for policy in policies} == {0.5}


def test_search_scores_every_candidate_with_the_same_seed():
    calls = []

    def scored(policy, seed):
        calls.append((policy, seed))
        return 0.0

    search(Grid(), scored, 3, 5, processes=0)
    assert calls == [(NONE, 5), (Grid()(1, 5), 5), (Grid()(2, 5), 5)]


def test_best_of_equal_scores_is_the_earliest_in_any_order():
    found = [Candidate(number, NONE, score, 0) for number, score in enumerate((0.3, 0.5, 0.5))]
    assert best_of(found).number == 1
    assert best_of(found[::-1]).number == 1


def test_policy_name_is_a_few_words():
    policy = OperationSequence([("rotate", 15), ("equalize", 3), ("color", 2)])
    names = [policy_name(p) for p in (NONE, RandAugment(2, 7.5), policy, ToArray())]
    assert names == ["none", "N=2 M=7.5", "rotate 15, equalize, color 2", "ToArray()"]
    assert describe(NONE) == []


# ── a trial ──────────────────────────────────────────────────────────────────────────────────


def bars(count, first):
    """Images that show an upright or a lying bar, with noise."""
    rng = np.random.default_rng(first)
    images = rng.integers(0, 60, (count, 28, 28, 1), dtype=np.uint8)
    images[::2, 4:24, 12:16] = 200
    images[1::2, 12:16, 4:24] = 200
    return ArrayDataset(images, np.arange(count) % 2, ("upright", "lying"))


class ToTheBit(Trial):
    """The score is the sum of a weight, which depends on every bit of the training."""

    def score(self, model, dataset):
        return float(model.classifier[0].weight.data.sum(dtype=np.float64))


SETUP = (
    partial(lenet5, 2, in_channels=1),
    bars(60, 0),
    bars(40, 1),
    [RandomCrop((28, 28), padding=3)],
    [ToArray(), Normalize(0.2, 0.2)],
    2,
    20,
)
TRIAL = Trial(*SETUP)


def test_trial_learns_and_gives_the_same_score_for_the_same_seed():
    policy = RandAugment(1, 3, fill=0)
    assert TRIAL(policy, 0) == TRIAL(policy, 0)
    assert TRIAL(NONE, 0) > 0.8


def test_trial_augments_only_the_training_images():
    seen = {"train": 0, "validation": 0}

    class Spy(ArrayDataset):
        in_memory = False

        def __getitem__(self, index):
            seen[self.part] += 1
            return super().__getitem__(index)

    class Count(RandAugment):
        def draw(self, size, rng=None):
            seen["policy"] = seen.get("policy", 0) + 1
            return super().draw(size, rng)

    parts = {}
    for part, count in (("train", 60), ("validation", 40)):
        data = bars(count, 0)
        parts[part] = Spy(data.images, data.labels, data.classes)
        parts[part].part = part
    trial = Trial(TRIAL.network, parts["train"], parts["validation"], [], TRIAL.numbers, epochs=2)
    trial(Count(1, 1), 0)
    assert seen["policy"] == 120
    assert seen["train"] == 120


# ── in processes ─────────────────────────────────────────────────────────────────────────────


def test_search_scores_do_not_depend_on_the_number_of_processes():
    grid = Grid((1, 2), (3, 9), fill=0)
    alone, two = (search(grid, ToTheBit(*SETUP), 4, processes=count) for count in (0, 2))
    assert scores(alone) == scores(two)
    assert [c.policy for c in alone] == [c.policy for c in two]
    assert len(set(scores(two))) == 4


@pytest.mark.parametrize("processes", [0, 1])
def test_search_names_a_candidate_that_fails_and_keeps_the_others(processes, tmp_path):
    name = policy_name(SEQUENCES(2, 0))
    with refused(
        ValueError, f"search: candidate 2 ({name})", "ValueError: the image is\ntoo small"
    ):
        search(SEQUENCES, failing, 4, folder=tmp_path / "s", processes=processes)
    lines = (tmp_path / "s" / "candidates.jsonl").read_text().splitlines()
    assert [json.loads(line)["candidate"] for line in lines] == [0, 1]
    assert len(search(SEQUENCES, length_of, 4, folder=tmp_path / "s", processes=0)) == 4


def test_search_shows_the_traceback_of_a_bug_in_a_trial():
    for processes in (0, 1):
        with refused(RuntimeError, "search: candidate 0 (none)", "KeyError") as caught:
            search(SEQUENCES, noisy, 2, processes=processes)
        assert "in noisy" in "".join(traceback.format_exception(caught.value))


class HardToSendError(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def raises_what_is_hard_to_send(policy, seed):
    raise HardToSendError("this", "that")


def test_search_reports_an_exception_that_cannot_be_unpickled():
    with refused(RuntimeError, "search: candidate 0", "HardToSendError: this and that"):
        search(SEQUENCES, raises_what_is_hard_to_send, 2, processes=1)


def test_search_names_a_candidate_whose_worker_dies_three_times_and_keeps_the_others(tmp_path):
    name = policy_name(SEQUENCES(1, 0))
    with refused(ChildProcessError, f"search: candidate 1 ({name})", "3 times", "memory"):
        search(SEQUENCES, killed, 3, folder=tmp_path / "s", processes=1)
    lines = (tmp_path / "s" / "candidates.jsonl").read_text().splitlines()
    assert [json.loads(line)["candidate"] for line in lines] == [0]


class WaitsToBeKilled(ToTheBit):
    """After training with one policy for the first time, the worker waits to be killed."""

    def __call__(self, policy, seed):
        model = self.trained(policy, seed)
        if isinstance(policy, RandAugment) and not self.pid_file.exists():
            self.pid_file.with_suffix(".new").write_text(str(os.getpid()))
            self.pid_file.with_suffix(".new").rename(self.pid_file)
            time.sleep(200)
        return self.score(model, self.validation)


def kill_the_worker_in(pid_file):
    while not pid_file.exists():
        time.sleep(0.01)
    os.kill(int(pid_file.read_text()), signal.SIGKILL)


@dataclass(frozen=True)
class KilledOnce:
    """Each policy's first trial kills its process, as a lack of memory may."""

    folder: Path

    def __call__(self, policy, seed):
        mark = self.folder / policy_name(policy)
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.5


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_search_survives_occasional_deaths_of_workers(tmp_path):
    assert scores(search(SEQUENCES, KilledOnce(tmp_path), 4, processes=1)) == [0.5] * 4


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("processes", [1, 2])
def test_search_replaces_a_worker_killed_in_a_trial_and_writes_the_same_lines(processes, tmp_path):
    grid = Grid((1, 2), (3, 9), fill=0)
    trial = WaitsToBeKilled(*SETUP)
    object.__setattr__(trial, "pid_file", tmp_path / "pid")
    killer = threading.Thread(target=kill_the_worker_in, args=(trial.pid_file,), daemon=True)
    killer.start()
    found = search(grid, trial, 4, folder=tmp_path / "disturbed", processes=processes)
    assert trial.pid_file.exists()
    undisturbed = search(grid, ToTheBit(*SETUP), 4, folder=tmp_path / "undisturbed", processes=0)
    assert scores(found) == scores(undisturbed)
    assert lines_of(tmp_path / "disturbed") == lines_of(tmp_path / "undisturbed")


def lines_of(folder):
    """The lines in the order of the candidates, without the times."""
    lines = [json.loads(line) for line in (folder / "candidates.jsonl").read_text().splitlines()]
    return sorted(({**line, "seconds": 0} for line in lines), key=lambda line: line["candidate"])


def process_number(policy, seed):
    return float(os.getpid())


def threads(policy, seed):
    counts = [library["num_threads"] for library in threadpool_info()]
    return float(max([worker_count(), cv2.getNumThreads(), *counts]))


def test_run_trials_gives_a_worker_one_thread(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    monkeypatch.setenv("MINIVISION_WORKERS", "2")
    assert scores(search(SEQUENCES, threads, 2, processes=1)) == [1, 1]


def test_search_uses_one_process_per_usable_core(monkeypatch):
    asked = []

    def run(train_and_score, policies, seed, processes):
        asked.append(processes)
        yield from run_trials(train_and_score, policies, seed, 0)

    monkeypatch.setattr(augmentation_search, "run_trials", run)
    monkeypatch.setattr(augmentation_search, "usable_cores", lambda: 5)
    search(SEQUENCES, length_of, 3)
    assert asked == [5]


def command_line(pid):
    """Empty for a process that has ended."""
    file = Path(f"/proc/{pid}/cmdline")
    return file.read_bytes() if file.exists() else b""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux to look at processes")
def test_search_that_is_killed_ends_its_processes(tmp_path):
    """Two workers in a trial, and an idle one."""
    with searching(tmp_path / "s") as parent:
        workers = workers_of(parent)
        parent.kill()
    assert all_end(workers)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux to look at processes")
def test_search_stopped_by_ctrl_c_ends_its_processes_and_keeps_finished_candidates(tmp_path):
    """A terminal sends the signal to every process."""
    with searching(tmp_path / "s") as parent:
        workers = workers_of(parent)
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.wait(60) == 130
        assert all_end(workers)
        assert parent.stderr.read() == b""  # nothing from the workers
    lines = (tmp_path / "s" / "candidates.jsonl").read_text().splitlines()
    assert [json.loads(line)["candidate"] for line in lines] == [2]


SLEEPING = """
import os, signal, sys, time
from minivision.methods import RandomSequences, policy_name, search

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

def train_and_score(policy, seed):
    os.write(1, b"begun\\n")  # at once, whatever the others write
    if policy != RandomSequences()(2, 0):
        time.sleep(1000)
    return 0.0

try:
    search(RandomSequences(), train_and_score, 3, folder=sys.argv[1], processes=3)
except KeyboardInterrupt:
    sys.exit(130)
"""


@contextmanager
def searching(folder):
    """A search of three candidates: two are being tried, the third is recorded."""
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPING, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as parent:
        try:
            for _ in range(3):
                assert parent.stdout.readline() == b"begun\n"
            told = parent.stderr.readline()
            assert b"candidate  2" in told, told
            yield parent
        finally:
            parent.kill()


def workers_of(parent):
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    workers = [pid for pid in children if b"popen_loky" in command_line(pid)]
    assert len(workers) == 3
    return workers


def all_end(workers):
    """Whether all workers end, long before their trials would."""
    until = time.monotonic() + 60
    while any(b"popen_loky" in command_line(pid) for pid in workers):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


class Locked:
    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self, policy, seed):
        return 0.0


def test_search_sends_a_function_of_the_script_itself_to_a_worker():
    assert scores(search(SEQUENCES, lambda policy, seed: 0.5, 2, processes=1)) == [0.5, 0.5]


# ── in a folder ──────────────────────────────────────────────────────────────────────────────


def counted(calls, policy, seed):
    calls.append(policy)
    return length_of(policy, seed)


def test_search_resumed_trains_only_the_missing_candidates(tmp_path):
    whole = search(SEQUENCES, length_of, 5, 1, folder=tmp_path / "s", processes=0)
    file = tmp_path / "s" / "candidates.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[3] + lines[1] + lines[0][:30])  # another order, and a half-written line
    calls = []
    again = search(
        SEQUENCES, partial(counted, calls), 5, 1, folder=tmp_path / "s", processes=0
    )  # fmt: skip
    assert [(c.number, c.policy, c.score) for c in again] == [
        (c.number, c.policy, c.score) for c in whole
    ]
    assert calls == [whole[0].policy, whole[2].policy, whole[4].policy]
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert sorted(record["candidate"] for record in records) == list(range(5))


def test_search_folder_records_each_candidate_by_name_and_description(tmp_path):
    found = search(SEQUENCES, length_of, 3, folder=tmp_path, processes=0)
    for line, candidate in zip(
        (tmp_path / "candidates.jsonl").read_text().splitlines(), found, strict=True
    ):
        record = json.loads(line)
        assert from_description(record["policy"]) == candidate.policy
        assert record["name"] == policy_name(candidate.policy)
        assert record["score"] == candidate.score


def test_search_refuses_other_settings_another_seed_or_another_sampler(tmp_path):
    first = partial(search, SEQUENCES, length_of, 3, folder=tmp_path / "s", processes=0)
    first(settings={"epochs": 2, "limit": None})
    first(settings={"limit": None, "epochs": 2})
    folder = str(tmp_path / "s")
    for settings, *fragments in (
        ({"epochs": 3, "limit": None}, "search: epochs is 3", "with 2"),
        ({"epochs": 2}, "search: limit is not given", "with None"),
        ({"epochs": 2, "limit": None, "lr": 0.1}, "search: lr is 0.1", "with not given"),
    ):
        with refused(ValueError, folder, *fragments):
            first(settings=settings)
    with refused(ValueError, folder, "search: seed is 4", "with 0"):
        first(seed=4, settings={"epochs": 2, "limit": None})
    with refused(ValueError, folder, "search: candidate 1", "different sampler"):
        search(
            RandomSequences(longest=2, fill=0), length_of, 3, folder=tmp_path / "s", processes=0,
            settings={"epochs": 2, "limit": None},
        )  # fmt: skip


def test_search_refuses_a_folder_with_other_files_and_leaves_it_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not touch")
    with refused(FileExistsError, str(tmp_path), "not empty"):
        search(SEQUENCES, length_of, 3, folder=tmp_path, processes=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("line", "fragments"), [("{", ["JSON"]), ('{"candidate": "1"}', ["'candidate'", "'1'"])]
)
def test_search_names_a_broken_line(line, fragments, tmp_path):
    search(SEQUENCES, length_of, 2, folder=tmp_path, processes=0)
    file = tmp_path / "candidates.jsonl"
    file.write_text(file.read_text().splitlines()[0] + "\n" + line + "\n")
    with refused(ValueError, "candidates.jsonl, line 2", *fragments):
        search(SEQUENCES, length_of, 2, folder=tmp_path, processes=0)
