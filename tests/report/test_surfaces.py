"""Maps and paths, read back from the axes; animations, read back from the file."""

import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

from steepest.core.errors import UsageError
from steepest.report import animation, style, surfaces
from steepest.report.animation import animate
from steepest.report.surfaces import contour, profile, surface

BOUNDS = ((-2.0, 2.0), (-1.0, 3.0))


def rosenbrock(p):
    x, y = p.T
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def line(steps, start=(-1.5, 2.5), end=(1.0, 1.0)):
    return np.linspace(start, end, steps)


@pytest.fixture
def figures(monkeypatch):
    """The figures that would have been saved, drawn small, still there to be looked at."""
    kept = []

    def save(figure, path):
        figure.savefig(io.BytesIO(), dpi=25)
        kept.append(figure)

    monkeypatch.setattr(style, "save", save)
    return kept


def test_the_path_is_where_it_was_and_the_axes_are_the_bounds(figures, tmp_path):
    points = np.vstack([line(20), [[50.0, 5.0]]])
    contour(rosenbrock, BOUNDS, {"a": points}, tmp_path / "c.png", minima=[(1, 1)])
    axes, below = figures[0].axes
    assert (axes.get_xlim(), axes.get_ylim()) == BOUNDS
    np.testing.assert_array_equal(axes.get_lines()[1].get_xydata(), points)
    star = axes.get_lines()[0]
    assert (star.get_marker(), *star.get_xydata()[0]) == ("*", 1, 1)
    drawn = below.get_lines()[0].get_ydata()
    # Where the path ends, f is 600 million: it is cut, with a cross, and sets no axis.
    ceiling = 1.5 * rosenbrock(points[:1])
    np.testing.assert_allclose(drawn, np.minimum(rosenbrock(points), ceiling))
    assert below.get_lines()[1].get_marker() == "x"


def test_a_path_that_comes_back_is_shown_whole(figures, tmp_path):
    contour(rosenbrock, BOUNDS, {"a": line(20)}, tmp_path / "c.png")
    below = figures[0].axes[1]
    (drawn,) = below.get_lines()
    np.testing.assert_allclose(drawn.get_ydata(), rosenbrock(line(20)))
    assert below.get_ylim()[1] > rosenbrock(line(20)).max()


def test_each_path_has_its_colour_and_name(figures, tmp_path):
    tracks = {"first": line(30), "second": line(30, (1.5, 0)), "short": line(5, (0, 2.5))}
    contour(rosenbrock, BOUNDS, tracks, tmp_path / "c.svg", names=("u", "v"), title="Here")
    axes, below = figures[0].axes
    names = {t.get_text().strip() for t in (*axes.texts, *below.texts)}
    assert set(tracks) <= names
    assert axes.get_xlabel() == "u"
    assert axes.get_title(loc="left") == "Here"
    long = [x for x in axes.get_lines() if len(x.get_xdata()) > 2]
    assert [x.get_color() for x in long] == [style.colour(i) for i in range(3)]


def boxes(axes):
    renderer = axes.figure.canvas.get_renderer()
    return {t.get_text(): t.get_window_extent(renderer) for t in axes.texts if t.get_text().strip()}


@pytest.mark.parametrize("corner", [(1.0, 1.0), (-2.0, -1.0), (2.0, 3.0), (2.0, -1.0)])
def test_names_of_paths_that_end_together_do_not_overlap(tmp_path, monkeypatch, corner):
    kept = []
    monkeypatch.setattr(style, "save", lambda figure, path: kept.append(figure))
    names = ("gd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "lbfgs")
    tracks = {n: line(20 + 3 * i, (-1, 2), corner) for i, n in enumerate(names)}
    tracks |= {"much later": line(400)}
    contour(rosenbrock, BOUNDS, tracks, tmp_path / "c.png")
    for axes in kept[0].axes:
        found = boxes(axes)
        assert set(found) == set(tracks)
        listed = list(found.values())
        for i, a in enumerate(listed):
            assert not any(a.overlaps(b) for b in listed[:i])
    inside = kept[0].axes[0].get_window_extent()
    for box in boxes(kept[0].axes[0]).values():
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1  # noqa: PT018
    assert len({style.colour(i) for i in range(8)}) == 8


FUNCTIONS = {
    "constant": lambda p: np.full(len(p), 3.0),
    "undefined in half the plane": lambda p: np.sqrt(p[:, 0]),
    "undefined everywhere": lambda p: np.full(len(p), np.nan),
    "a pole": lambda p: 1 / (p**2).sum(axis=1),
    "negative": lambda p: -np.exp(-(p**2).sum(axis=1)),
    "of integers": lambda p: np.round(p).astype(int).sum(axis=1),
}
TRACKS = {
    "none": {},
    "a point": {"a": [[0.5, 0.5]]},
    "outside": {"a": [[9.0, 9.0], [10.0, 10.0]]},
    "diverged": {"a": [[1.0, 1.0], [30.0, 1.0], [np.inf, 1.0], [np.nan, np.nan]]},
    "empty": {"a": np.zeros((0, 2))},
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("track", TRACKS)
def test_odd_functions_and_paths_are_drawn_without_a_warning(figures, tmp_path, name, track):
    contour(FUNCTIONS[name], BOUNDS, TRACKS[track], tmp_path / "c.png")
    assert figures[0].axes[0].get_xlim() == BOUNDS[0]


@pytest.mark.parametrize("name", ["constant", "a pole", "negative", "undefined in half the plane"])
def test_surfaces(figures, tmp_path, name):
    function = FUNCTIONS[name]
    surface(function, BOUNDS, {"a": line(10), "out": [[9.0, 9.0]]}, tmp_path / "s.png")
    assert figures[0].axes[0].name == "3d"


def test_a_path_on_a_surface_lies_on_it(figures, tmp_path):
    surface(lambda p: p[:, 0] + p[:, 1], BOUNDS, {"a": line(10)}, tmp_path / "s.png")
    x, y, z = figures[0].axes[0].get_lines()[0].get_data_3d()
    np.testing.assert_allclose(z, x + y)


def test_a_function_of_one_variable(figures, tmp_path):
    points = np.array([[2.0], [1.0], [0.5]])
    profile(lambda p: p[:, 0] ** 2, ((-3, 3),), {"a": points}, tmp_path / "p.png")
    axes, below = figures[0].axes
    np.testing.assert_allclose(axes.get_lines()[1].get_xydata(), [[2, 4], [1, 1], [0.5, 0.25]])
    np.testing.assert_allclose(below.get_lines()[0].get_ydata(), [4, 1, 0.25])


def test_levels_resolve_a_flat_valley():
    _, _, z = surfaces.grid(rosenbrock, BOUNDS, 100)
    levels = surfaces._levels(z)
    assert levels[0] == z.min()
    assert levels[-1] == z.max()
    # f reaches 2500, but the valley is below 1 per cent of it: some levels must be there.
    assert (levels < 25).sum() >= 5


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda f: contour(rosenbrock, BOUNDS, {}, f / "a.gif"), "a.gif: pictures are written as"),
        (lambda f: contour(rosenbrock, BOUNDS, {"p": [[1.0]]}, f / "a.png"),
         r"Path 'p' has shape \(1, 1\); this picture needs \(steps, 2\)"),
        (lambda f: animate(rosenbrock, BOUNDS, {"p": line(3)}, f / "a.png"), r"written as \.gif"),
        (lambda f: animate(rosenbrock, BOUNDS, {}, f / "a.gif"), "there is no path to show"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path, call, said):
    with pytest.raises(UsageError, match=said):
        call(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("steps", [1, 10, 3000])
def test_clock(steps):
    shown = animation._clock(steps)
    assert (shown[0], shown[-1]) == (0, steps - 1)
    assert len(shown) <= animation.FRAMES
    assert shown == sorted(set(shown))


def frames_of(path):
    with Image.open(path) as picture:
        for i in range(picture.n_frames):
            picture.seek(i)
            yield np.asarray(picture.convert("RGB")).astype(int), picture.info


def near(frame, colour):
    want = 255 * np.array(matplotlib.colors.to_rgb(colour))
    return int((np.abs(frame - want).max(axis=-1) < 24).sum())


def test_an_animation_grows(tmp_path):
    tracks = {"a": line(12), "b": line(6, (1.5, 0)), "c": [[0.0, 0.0]]}
    animate(rosenbrock, BOUNDS, tracks, tmp_path / "a.gif", minima=[(1, 1)])
    frames = list(frames_of(tmp_path / "a.gif"))
    assert len(frames) == 12
    assert frames[-1][1]["duration"] == animation.HOLD_MS
    assert frames[0][1]["loop"] == 0
    blue = [near(f, style.BLUE) for f, _ in frames]
    assert blue[0] < blue[4] < blue[8] < blue[11]
    assert (tmp_path / "a.gif").stat().st_size < 300_000


def test_the_pixels_of_every_frame_survive():
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, size=(40, 3), dtype=np.uint8)
    # The last frame has all the colours, as that of an animation has.
    kinds = [rng.integers(0, 40, size=(30, 50)) for _ in range(4)]
    frames = [colours[k] for k in kinds]
    data = animation._gif(frames)
    for (shown, _), frame in zip(frames_of(io.BytesIO(data)), frames, strict=True):
        np.testing.assert_array_equal(shown, frame)
