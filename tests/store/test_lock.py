"""Two processes in one run directory: the second is told, a killed one leaves nothing behind."""

import subprocess
import sys

import pytest

from steepest.core.errors import UsageError
from steepest.store import lock

CHILD = """
import sys, time
from steepest.store import lock
held = lock.hold(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_holder_is_refused_and_a_killed_one_forgotten(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=rf"in use by another process \({child.pid}\)"):
            lock.hold(tmp_path)
        with pytest.raises(UsageError, match="wait until it has ended"):
            lock.refuse_held(tmp_path)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    lock.refuse_held(tmp_path)
    with lock.hold(tmp_path):
        assert (tmp_path / lock.NAME).exists()


def test_no_lock_is_none(tmp_path):
    lock.refuse_held(tmp_path)
    assert list(tmp_path.iterdir()) == []
