"""Rows on disk: every row once an epoch, in another order, and never more than some blocks held."""

import numpy as np
import pytest

from steepest.core.errors import DataError
from steepest.data import spool as module
from steepest.data.batches import SKIP, BlockOrder
from steepest.data.dataset import Arrays
from steepest.data.spool import Spool


def filled(folder, rows, *, batch_size=8, block_rows=64, seed=0, pieces=7, weight=False):
    row_bytes = 3 * 4 + 4 + 4 * weight
    spool = Spool(str(folder), block_rows * row_bytes, batch_size, seed)
    numbers = np.arange(rows)
    for part in np.array_split(numbers, pieces):
        x = np.stack([part, part * 2, -part], axis=1).astype(np.float32)
        spool.append(Arrays(x, part.astype(np.int32), x[:, 0] + 1 if weight else None))
    return spool


@pytest.mark.parametrize("rows", [1, 7, 8, 64, 65, 500, 1000])
@pytest.mark.parametrize("weight", [False, True])
def test_every_row_once_an_epoch(tmp_path, rows, weight):
    spool = filled(tmp_path, rows, weight=weight)
    order = spool.order(seed=5)
    assert len(spool) == rows
    for epoch in (0, 1, 4):
        seen = []
        for number in range(order.blocks):
            block = spool.block(epoch, number)
            assert len(block) <= spool.block_rows
            np.testing.assert_array_equal(block.x, np.stack([block.y, 2 * block.y, -block.y], 1))
            if weight:
                np.testing.assert_array_equal(block.weight, block.y + 1)
            seen.append(block.y)
        np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(rows))
    pieces = np.concatenate([p.y for p in spool.pieces()])
    np.testing.assert_array_equal(np.sort(pieces), np.arange(rows))


def test_blocks_mix_rows_from_all_of_the_file(tmp_path):
    spool = filled(tmp_path, 10_000, block_rows=1024)
    first = spool.block(0, 0).y
    # 32 segments of 32 rows: drawn from everywhere, the mean of a block is near that of the file.
    assert abs(first.mean() - 5000) < 2000
    assert first.min() < 1000
    assert first.max() > 9000
    assert not np.array_equal(first, spool.block(1, 0).y)


def test_the_same_whoever_asks_and_in_whatever_order(tmp_path):
    a, b = (filled(tmp_path, 700, seed=3) for _ in range(2))
    in_turn = {(e, k): a.block(e, k).y for e in range(2) for k in range(a.order(0).blocks)}
    for key in reversed(list(in_turn)):
        np.testing.assert_array_equal(b.block(*key).y, in_turn[key])


def test_files_vanish(tmp_path):
    spool = filled(tmp_path, 100)
    assert list(tmp_path.iterdir()) == []
    assert len(spool.block(0, 0)) == 64


def test_a_disk_without_room(tmp_path, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(DataError, match="has no room for the encoded rows"):
        filled(tmp_path, 10)


def test_order_of_blocks():
    order = BlockOrder(rows=21, batch_size=4, block_rows=8, seed=1)
    assert (order.steps_per_epoch, order.blocks) == (6, 3)
    assert [order.place(s) for s in range(8)] == [
        (0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 2, 0), (0, 2, 1), (1, 0, 0), (1, 0, 1),
    ]  # fmt: skip
    assert [order.left(s) for s in range(7)] == [2, 1, 2, 1, 2, 1, 2]
    for first in (0, 2, 6):
        rows = order.steps(first, 2)
        assert sorted(rows.ravel().tolist()) == list(range(8))
    last = order.steps(4, 2)
    assert sorted(last.ravel().tolist()) == [SKIP] * 3 + list(range(5))
    # Cut anywhere, the same rows.
    np.testing.assert_array_equal(order.steps(3, 1), order.steps(2, 2)[1:])
    assert not np.array_equal(order.steps(0, 2), order.steps(6, 2))
