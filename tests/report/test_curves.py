"""What the curves show, read back from the axes that were drawn."""

import io
import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from steepest.core.errors import FileError, UsageError
from steepest.core.trace import Trace
from steepest.report import style
from steepest.report.curves import curves


@pytest.fixture
def figures(monkeypatch):
    """The figures that would have been saved, drawn small, still there to be looked at."""
    kept = []

    def save(figure, path):
        figure.savefig(io.BytesIO(), dpi=25)
        kept.append(figure)

    monkeypatch.setattr(style, "save", save)
    return kept


def training(seeds=4, cells=1, epochs=10, per=8, diverge=(), metric="accuracy"):
    rng = np.random.default_rng(0)
    steps = np.arange(epochs * per)
    shape = (len(steps), seeds, cells)
    loss = np.exp(-steps / 12)[:, None, None] * (1 + 0.1 * rng.uniform(size=shape)) + 0.01
    rate = np.full(shape, 0.1)
    for s, c in diverge:
        loss[20:, s, c] = 10.0 ** np.arange(len(steps) - 20)
        loss[35:, s, c] = rate[35:, s, c] = np.nan
    trace = Trace(range(seeds), cells)
    trace.append("steps", {"step": steps, "epoch": steps / per, "loss": loss,
                           "gradient_norm": loss**0.5, "learning_rate": rate})  # fmt: skip
    means = loss.reshape(epochs, per, seeds, cells).mean(axis=1)
    ends = np.arange(1, epochs + 1)
    trace.append("epochs", {
        "epoch": ends, "step": ends * per, "seconds": ends * 0.1, "train_loss": means,
        "validation_loss": means + 0.01 * ends[:, None, None],
        f"validation_{metric}": 1 - means / 2,
    })  # fmt: skip
    return trace


def panel(figure, title):
    return next(a for a in figure.axes if a.get_title(loc="left").startswith(title))


def lines(axes):
    return [line for line in axes.get_lines() if len(line.get_xdata()) > 2]


def crosses(axes):
    return [line for line in axes.get_lines() if line.get_marker() == "x"]


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_files(tmp_path, suffix, magic):
    curves(training(), tmp_path / f"c.{suffix}", title="A title")
    data = (tmp_path / f"c.{suffix}").read_bytes()
    assert data.startswith(magic)
    assert len(data) > 10_000


def test_the_median_is_drawn_with_its_band(figures, tmp_path):
    trace = training()
    curves(trace, tmp_path / "c.png")
    axes = panel(figures[0], "Loss")
    drawn = {line.get_color(): line.get_ydata() for line in lines(axes)}
    np.testing.assert_allclose(
        drawn[style.BLUE], np.median(trace.epochs["train_loss"][:, :, 0], axis=1)
    )
    np.testing.assert_allclose(
        drawn[style.VERMILLION], np.median(trace.epochs["validation_loss"][:, :, 0], axis=1)
    )
    assert len(axes.collections) == 2
    best = np.argmin(np.median(trace.epochs["validation_loss"][:, :, 0], axis=1)) + 1
    assert 1 < best < 10
    texts = {t.get_text().strip() for t in axes.texts}
    assert {"training", "validation", f"best epoch {best}"} <= texts


def test_a_single_seed_has_no_band(figures, tmp_path):
    curves(training(seeds=1), tmp_path / "c.png")
    assert len(panel(figures[0], "Loss").collections) == 0


def test_diverged_runs_do_not_move_medians_or_axes(figures, tmp_path):
    good, mixed = training(seeds=3), training(seeds=4, diverge=[(3, 0)])
    for table in ("steps", "epochs"):
        for name, values in getattr(mixed, table).items():
            if values.ndim > 1:
                values[:, :3] = getattr(good, table)[name]
    curves(good, tmp_path / "a.png")
    curves(mixed, tmp_path / "b.png")
    for title in ("Loss", "Accuracy", "Gradient norm", "Learning rate"):
        a, b = (panel(f, title) for f in figures)
        assert a.get_ylim() == b.get_ylim()
        assert a.get_yscale() == b.get_yscale()
    assert len(crosses(panel(figures[1], "Loss"))) == 2
    assert not crosses(panel(figures[0], "Loss"))
    for cross in crosses(panel(figures[1], "Loss")):
        assert cross.get_ydata()[0] == panel(figures[1], "Loss").get_ylim()[1]
    assert "1 of 4 runs diverged" in figures[1].get_supxlabel()


def test_when_all_diverge_their_beginning_is_shown(figures, tmp_path):
    curves(training(seeds=1, diverge=[(0, 0)]), tmp_path / "c.png")
    axes = panel(figures[0], "Loss")
    assert len(crosses(axes)) == 2
    assert axes.get_ylim()[1] < 20
    assert "the run diverged" in figures[0].get_supxlabel()


def test_diverged_runs_may_be_told(figures, tmp_path):
    curves(training(seeds=3), tmp_path / "c.png", diverged=[[False], [True], [False]])
    assert "1 of 3 runs diverged" in figures[0].get_supxlabel()


def test_a_run_that_ended_early_keeps_its_last_value(figures, tmp_path):
    trace = training(seeds=1)
    trace.epochs["validation_accuracy"][4:] = np.nan
    curves(trace, tmp_path / "c.png")
    (line,) = lines(panel(figures[0], "Accuracy"))
    assert (line.get_ydata()[4:] == line.get_ydata()[3]).all()


def test_cells_have_their_labels_and_colours(figures, tmp_path):
    curves(training(cells=3), tmp_path / "c.png", labels=["slow", "medium", "fast"])
    axes = panel(figures[0], "Accuracy")
    assert {t.get_text().strip() for t in axes.texts} >= {"slow", "medium", "fast"}
    assert [line.get_color() for line in lines(axes)] == [style.colour(i) for i in range(3)]
    # All cells have the same learning rate: one line without a name.
    assert len(lines(panel(figures[0], "Learning rate"))) == 1


def test_labels_do_not_overlap(figures, tmp_path):
    curves(training(cells=5), tmp_path / "c.png", labels=list("abcde"))
    for axes in figures[0].axes:
        heights = sorted(t.xy[1] for t in axes.texts if t.get_text() in "abcde")
        gap = 11.5 / 72 * figures[0].dpi / axes.get_window_extent().height
        assert (np.diff(heights) > 0.9 * gap).all()
        assert all(0 <= h <= 1.001 for h in heights)


def test_the_scale_is_logarithmic_only_where_decades_are_spanned(figures, tmp_path):
    trace = Trace()
    x = np.arange(50)
    trace.append("steps", {"step": x, "epoch": x * 1.0, "loss": (0.5**x).reshape(-1, 1, 1),
                           "gradient_norm": (2.0 - x / 50).reshape(-1, 1, 1)})  # fmt: skip
    curves(trace, tmp_path / "c.png")
    assert panel(figures[0], "Loss").get_yscale() == "log"
    assert panel(figures[0], "Gradient norm").get_yscale() == "linear"
    assert panel(figures[0], "Loss").get_xlabel() == "step"


def test_mistakes(tmp_path):
    with pytest.raises(UsageError, match=r"c\.jpg: pictures are written as \.png, \.svg, \.pdf"):
        curves(training(), tmp_path / "c.jpg")
    with pytest.raises(UsageError, match="trace is empty"):
        curves(Trace(), tmp_path / "c.png")
    with pytest.raises(FileError, match="there is no folder"):
        curves(training(), tmp_path / "none" / "c.png")
    assert list(tmp_path.iterdir()) == []


def test_no_global_state_is_touched(tmp_path):
    before = dict(matplotlib.rcParams)
    curves(training(), tmp_path / "c.png")
    assert dict(matplotlib.rcParams) == before
    code = (
        "import sys\nfrom steepest.report import plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.profile(lambda p: p[:, 0]**2, ((-1, 1),), {}, sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "p.png"], check=True)
