"""Whatever happens during a write, the file holds the old bytes or the new ones, whole."""

import os
import random
import signal
import stat
import subprocess
import sys
import time

import pytest

from steepest.core import atomic
from steepest.core.errors import FileError


def test_new_and_old_files(tmp_path):
    path = tmp_path / "a.bin"
    atomic.write_bytes(path, b"one")
    atomic.write_text(path, "zwei ü")
    assert path.read_bytes() == "zwei ü".encode()
    assert os.listdir(tmp_path) == ["a.bin"]


def test_an_exception_in_the_block_changes_nothing(tmp_path):
    path = tmp_path / "a.bin"
    atomic.write_bytes(path, b"old")

    def interrupted():
        with atomic.replacing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_permissions(tmp_path):
    path = tmp_path / "a.bin"
    old = os.umask(0o027)
    try:
        atomic.write_bytes(path, b"1")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    atomic.write_bytes(path, b"2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"1")
    (tmp_path / "link").symlink_to("real")
    atomic.write_bytes(tmp_path / "link", b"2")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"2"


def test_a_device_is_written_to(tmp_path):
    atomic.write_bytes(os.devnull, b"1")
    assert not os.path.isfile(os.devnull)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device():
    with pytest.raises(FileError, match="/dev/full cannot be written: No space left on device"):
        atomic.write_bytes("/dev/full", b"1")


@pytest.mark.parametrize(
    ("name", "said"), [("no/such/file", "there is no folder"), ("folder", "it is a folder")]
)
def test_places_that_cannot_be(tmp_path, name, said):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError, match=said):
        atomic.write_bytes(tmp_path / name, b"1")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="cannot be made"):
        atomic.make_folder(tmp_path / "file" / "folder")
    assert atomic.make_folder(tmp_path / "a" / "b").is_dir()


FULL = """
import resource, sys
from steepest.core import atomic
from steepest.core.errors import FileError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    atomic.write_bytes(sys.argv[1], b"n" * 5000)
except FileError as e:
    print(e)
"""


def test_a_disk_that_runs_full_leaves_the_old_file(tmp_path):
    # A limit on the size of files makes the kernel refuse the write midway, as a full disk does.
    path = tmp_path / "a.bin"
    atomic.write_bytes(path, b"old")
    done = subprocess.run(
        [sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{path} cannot be written: File too large.\n"
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


FOREVER = """
import sys
from steepest.core import atomic
n = 0
while True:
    n = (n + 1) % 256
    atomic.write_bytes(sys.argv[1], bytes([n]) * 300_000)
    print(n, flush=True)
"""


def test_killed_at_any_moment(tmp_path):
    path = tmp_path / "a.bin"
    chance = random.Random(0)
    for _ in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", FOREVER, path], stdout=subprocess.PIPE, text=True
        )
        child.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        data = path.read_bytes()
        assert len(data) == 300_000
        assert len(set(data)) == 1
