"""What a run says where there is no terminal, and that a terminal gets its bar."""

import io

import pytest
from rich.console import Console

from steepest.cli import output, progress
from steepest.cli.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def written(monkeypatch):
    """Console on a string; call it with `True` for one that is a terminal."""

    def make(terminal):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=terminal, width=120, color_system=None,
                          highlight=False)  # fmt: skip
        monkeypatch.setattr(output, "stderr", lambda: console)
        return stream

    yield make
    output.settings.quiet = False


def run(clock, seconds):
    with Progress(1000, epochs=10, metric="accuracy") as p:
        for i in range(1, 1001):
            clock[0] = seconds * i / 1000
            p.update(i, epoch=(i - 1) // 100 + 1, loss=0.5, metric=0.9, samples=32 * i)


def test_a_pipe_gets_four_lines_however_long_the_run(clock, written):
    stream = written(False)
    run(clock, 100.0)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0] == "Training 25 %: epoch 3/10  loss 0.5  accuracy 0.9  320 samples/s"
    assert lines[-1].startswith("Training 100 %: epoch 10/10")


def test_a_quick_run_says_nothing(clock, written):
    stream = written(False)
    run(clock, 1.0)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_quiet_says_nothing(clock, written, terminal):
    stream = written(terminal)
    output.settings.quiet = True
    run(clock, 100.0)
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar(written):
    stream = written(True)
    with Progress(10, epochs=2, metric="R2") as p:
        p.update(5, epoch=1, loss=0.25, metric=0.75, samples=100)
        p._bar.refresh()
    shown = stream.getvalue()
    assert "epoch 1/2  loss 0.25  R2 0.75" in shown
    assert "samples/s" in shown
