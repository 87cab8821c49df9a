"""A run that goes on from a checkpoint ends equal, to the bit, to one that was never disturbed."""

import errno
import json
import os

import jax
import numpy as np
import pytest

from steepest.core.errors import FileError, UsageError
from steepest.core.outcome import Outcome
from steepest.core.record import replace
from steepest.engine.settings import Settings
from steepest.engine.train import Prepared, train_prepared
from steepest.store import checkpoint

SETTINGS = replace(
    Settings(), hidden=(8,), epochs=6.0, dropout=0.2, average=0.99, schedule="cosine",
    learning_rate=5e-3,
)  # fmt: skip


@pytest.fixture(scope="module")
def ready():
    return Prepared("iris", SETTINGS)


@pytest.fixture(scope="module")
def undisturbed(ready):
    return train_prepared(ready, SETTINGS, (0,))


@pytest.fixture
def folder(tmp_path):
    return checkpoint.begin(tmp_path, {"settings": "as they are"})


class Killed(BaseException):
    """Ends a run at once, as a kill would."""


def cut(ready, folder, *, after, settings=SETTINGS, seeds=(0,), chunk_steps=4):
    """A run with a checkpoint after each chunk, which is killed after so many of them."""
    moments = []

    def hook(moment):
        checkpoint.write(folder, moment)
        moments.append(moment.step)
        if len(moments) == after:
            raise Killed

    with pytest.raises(Killed):
        train_prepared(ready, settings, seeds, hooks=(hook,), chunk_steps=chunk_steps)
    return moments


def equal(a, b):
    """Whether two `Fits` are the same but for the time that they took."""

    def bits(t):
        return [(np.asarray(x).dtype, np.asarray(x).tobytes()) for x in jax.tree.leaves(t)]

    def numbers(fit):
        return {k: v for k, v in fit.to_dict().items() if k != "seconds"}

    for one, two in zip(a, b, strict=True):
        for name in ("params", "buffers", "last_params"):
            assert bits(getattr(one, name)) == bits(getattr(two, name))
        assert json.dumps(numbers(one)) == json.dumps(numbers(two))
    for name in ("steps", "epochs"):
        left, right = getattr(a.trace, name), getattr(b.trace, name)
        assert list(left) == list(right)
        assert [bits(left[k]) for k in left if k != "seconds"] == [
            bits(right[k]) for k in right if k != "seconds"
        ]
    return True


@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_resumed_run_ends_as_if_nothing_had_been(ready, undisturbed, folder, after):
    steps = cut(ready, folder, after=after)
    resume, said = checkpoint.newest(folder)
    assert said == []
    assert resume.step == steps[-1] < undisturbed[0].steps
    found = train_prepared(ready, SETTINGS, (0,), resume=resume)
    assert equal(undisturbed, found)
    seconds = found.trace.epochs["seconds"]
    assert (np.diff(seconds) >= 0).all()


@pytest.mark.parametrize(
    ("changes", "seeds"),
    [
        ({"norm": "batch", "optimizer": "momentum", "momentum": 0.9, "clip_norm": 1.0}, (0, 1)),
        pytest.param(
            {"batch_size": "full", "dropout": None, "dtype": "float64"}, (3,),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"patience": 2.0, "learning_rate": 0.3, "epochs": 30.0, "schedule": "constant"}, (0,),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["buffers and two seeds", "full batch in float64", "early stopping"],
)  # fmt: skip
def test_all_that_a_run_carries_is_kept(tmp_path, changes, seeds):
    settings = replace(SETTINGS, **changes)
    ready = Prepared("iris", settings)
    folder = checkpoint.begin(tmp_path, {})
    chunk = 2 if settings.batch_size == "full" else 5
    cut(ready, folder, after=2, settings=settings, seeds=seeds, chunk_steps=chunk)
    resume, _ = checkpoint.newest(folder)
    found = train_prepared(ready, settings, seeds, resume=resume)
    whole = train_prepared(ready, settings, seeds)
    assert equal(whole, found)
    if "patience" in changes:
        assert found[0].outcome is Outcome.STOPPED


def test_the_two_newest_are_kept(ready, folder):
    steps = cut(ready, folder, after=4)
    assert [p.name for p in checkpoint.found(folder)] == [f"step-{s:012d}" for s in steps[-2:]]


@pytest.mark.parametrize("damage", ["cut json", "cut arrays", "altered", "arrays gone"])
def test_a_damaged_one_is_named_and_the_one_before_it_used(ready, undisturbed, folder, damage):
    steps = cut(ready, folder, after=3)
    last = checkpoint.found(folder)[-1]
    (arrays,) = last.glob("*.safetensors")
    file = last / "model.json" if damage == "cut json" else arrays
    data = file.read_bytes()
    if damage == "arrays gone":
        file.unlink()
    elif damage == "altered":
        file.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    else:
        file.write_bytes(data[: len(data) // 2])
    resume, said = checkpoint.newest(folder)
    assert said == [f"The checkpoint {last} was altered or cut short; it is left out."]
    assert resume.step == steps[-2]
    assert equal(undisturbed, train_prepared(ready, SETTINGS, (0,), resume=resume))


def test_with_none_whole_the_run_starts_again(ready, folder):
    cut(ready, folder, after=2)
    for place in checkpoint.found(folder):
        (place / "model.json").write_text("{}")
    resume, said = checkpoint.newest(folder)
    assert resume is None
    assert len(said) == 3
    assert "starts again" in said[-1]


def test_a_write_that_was_cut_off_is_no_checkpoint(ready, folder):
    steps = cut(ready, folder, after=2)
    half = folder / "step-000000999999"
    half.mkdir()
    (half / "model-0123456789abcdef.safetensors").write_bytes(b"half")
    resume, said = checkpoint.newest(folder)
    assert (resume.step, said) == (steps[-1], [])


def test_another_configuration_is_refused(ready, folder):
    cut(ready, folder, after=1)
    (folder / "config.json").write_text('{"settings": "others"}')
    with pytest.raises(UsageError, match="was changed since the run began"):
        checkpoint.newest(folder)


def test_another_structure_is_refused(ready, folder):
    cut(ready, folder, after=1)
    resume, _ = checkpoint.newest(folder)
    with pytest.raises(FileError, match="another structure"):
        train_prepared(ready, replace(SETTINGS, hidden=(9,)), (0,), resume=resume)


def test_on_a_full_disk_the_training_goes_on(ready, undisturbed, folder, monkeypatch):
    said, flushed = [], []
    saver = checkpoint.Saver(folder, 0.0, said.append)
    monkeypatch.setattr(checkpoint, "MOST_SHARE", 1e9)
    fsync = os.fsync

    def full(handle):
        # Two checkpoints of two files and their folders; of the third, the first file only.
        flushed.append(handle)
        if len(flushed) > 2 * 4 + 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    found = train_prepared(ready, SETTINGS, (0,), hooks=(saver,), chunk_steps=4)
    monkeypatch.undo()
    assert equal(undisturbed, found)
    assert len(flushed) > 2 * 4 + 3
    kept = checkpoint.found(folder)
    assert len(kept) == 2
    assert sorted(p.name for p in folder.glob("step-*")) == [p.name for p in kept]
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert f"the last checkpoint is {kept[-1]}." in said[0]
    resume, notes = checkpoint.newest(folder)
    assert notes == []
    assert equal(undisturbed, train_prepared(ready, SETTINGS, (0,), resume=resume))


def test_checkpoints_come_by_time(ready, folder):
    rare = checkpoint.Saver(folder, 1e6, pytest.fail)
    train_prepared(ready, SETTINGS, (0,), hooks=(rare,))
    assert checkpoint.found(folder) == []
    assert not rare.leaving


def test_a_run_that_is_left_can_be_resumed(ready, undisturbed, folder):
    saver = checkpoint.Saver(folder, 1e6, pytest.fail)
    left = train_prepared(ready, SETTINGS, (0,), hooks=(saver,), max_seconds=0.0)
    assert saver.leaving
    assert left[0].steps < undisturbed[0].steps
    resume, _ = checkpoint.newest(folder)
    assert equal(undisturbed, train_prepared(ready, SETTINGS, (0,), resume=resume))


def test_a_finished_run_has_no_checkpoints(ready, folder, tmp_path):
    cut(ready, folder, after=1)
    assert checkpoint.asked(tmp_path) == {"settings": "as they are"}
    checkpoint.end(tmp_path)
    assert checkpoint.asked(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
