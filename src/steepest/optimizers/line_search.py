"""Line searches: how far to go along a direction d, with phi(t) = f(x + t d).

Each search is one `lax.while_loop` that makes one evaluation a turn, so that under `vmap` every run
in the batch advances by one trial a turn, ends on its own, and cannot disturb its neighbours. A
trial that is not finite shortens the step. When no step along d will do, the search begins again
along a second direction (for quasi-Newton methods: the steepest descent) before it gives up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from steepest.core.record import number, record
from steepest.optimizers.deterministic import Flat, Point, pick


class Found(NamedTuple):
    """What a line search yields: the new point (the old one if `failed`), its step and its cost.

    `second` tells that the second direction was followed; `slope` is phi'(0) along the one taken.
    """

    point: Point
    step: Any
    slope: Any
    evaluations: Any
    failed: Any
    second: Any


class End(NamedTuple):
    """phi at one end of the interval: the step, the value, the slope."""

    step: Any
    value: Any
    slope: Any


class _Interval(NamedTuple):
    """The state of a search along one direction, all numbers (flags are 0 or 1)."""

    trial: Any  # the next step to try, or the one accepted
    best: End  # the lowest step so far that decreases f enough, one end of the interval
    other: End  # the other end, once `bracketed`
    width: Any  # of the interval, now and one turn earlier
    width_before: Any
    bracketed: Any
    recall: Any  # the trial repeats the best step, to be accepted as it is
    second: Any  # along the second direction
    trials: Any
    failed: Any


def _pack(interval: _Interval) -> Any:
    """One vector: kept apart, these numbers would cost a kernel each at every turn."""
    return jnp.stack(jax.tree.leaves(interval))


def _unpack(vector: Any) -> _Interval:
    return jax.tree.unflatten(_LAYOUT, list(vector))


_END = End(0, 0, 0)
_LAYOUT = jax.tree.structure(_Interval(0, _END, _END, *[0] * 7))
_RECALL, _SECOND = -4, -3


@record
class StrongWolfe:
    """Line search for the strong Wolfe conditions, by Moré and Thuente's safeguarded interpolation.

        phi(t) <= phi(0) + c1 t phi'(0)        sufficient decrease, c1 = `decrease`
        |phi'(t)| <= c2 |phi'(0)|              curvature,           c2 = `curvature`

    Near a minimum f is flat to rounding long before its gradient vanishes. Where phi(t) differs
    from phi(0) by no more than `rounding` |f|, and by the mean slope no more than ten times
    that was to be expected, the slopes decide alone: the curvature condition then implies Hager
    and Zhang's approximate one, phi'(t) <= (2 c1 - 1) phi'(0).

    A trial that overflows is shortened to a tenth. After `max_trials` the best step with a decrease
    is taken; where there is none, the search goes along the second direction.

    Sources: Moré and Thuente, "Line search algorithms with guaranteed sufficient decrease", ACM
    TOMS 20 (1994), 286-307 (dcsrch, dcstep); Hager and Zhang, "Algorithm 851: CG_DESCENT", ACM TOMS
    32 (2006), 113-137, eq. (T1), (T2).

    >>> import jax.numpy as jnp
    >>> from steepest.optimizers.deterministic import Point
    >>> at = lambda x: Point(x, jnp.sum(x**4), 4 * x**3)
    >>> x = jnp.array([1.0, 2.0])
    >>> found = StrongWolfe(curvature=0.1)(at, at(x), -at(x).gradient, step=1.0)
    >>> bool(found.failed), bool(found.point.value < 1.7)
    (False, True)
    """

    decrease: float = number(
        default=1e-4, above=0, below=0.5, help="c1, of the sufficient decrease"
    )
    curvature: float = number(
        default=0.9, above=0, below=1, help="c2, of the slope that may remain"
    )
    max_trials: int = number(default=20, least=1, help="evaluations along one direction")
    rounding: float = number(
        default=None,
        least=0,
        optional=True,
        help="relative noise of f; None: 100 units of rounding",
    )

    def __call__(
        self,
        at: Flat,
        start: Point,
        direction: Any,
        step: Any,
        second: Any = None,
        second_step: Any = 1.0,
        skip: Any = False,
        size: Any = 0.0,
    ) -> Found:
        """Search from `start` along `direction`, first trial at `step`.

        `second`, `second_step`: the direction to follow where the first fails or does not descend.
        `skip` makes no trial at all (a run that has ended). `size`: of f lately, if it was larger
        than at `start` (`deterministic.Held`).
        """
        dtype = start.x.dtype
        eps = jnp.finfo(dtype).eps
        c1, c2 = jnp.asarray(self.decrease, dtype), jnp.asarray(self.curvature, dtype)
        relative = jnp.asarray(100 * eps if self.rounding is None else self.rounding, dtype)
        max_trials = jnp.asarray(self.max_trials, dtype)
        zero, one, infinity = (jnp.asarray(c, dtype) for c in (0, 1, jnp.inf))
        f0 = start.value
        noise = relative * jnp.maximum(jnp.abs(f0), jnp.asarray(size, dtype))
        slope1, step1 = jnp.vdot(start.gradient, direction), jnp.asarray(step, dtype)
        slope2, step2 = zero, step1
        if second is not None:
            slope2 = jnp.vdot(start.gradient, second)
            step2 = jnp.asarray(second_step, dtype)
        usable1 = _descends(slope1, step1) & jnp.isfinite(f0)
        usable2 = _descends(slope2, step2) & jnp.isfinite(f0)
        nothing = ~(usable1 | usable2) | jnp.asarray(skip)

        def begin(slope, step, along_second) -> Any:
            """The interval before the first trial along one of the two directions."""
            end = End(zero, f0, slope)
            flags = [zero, zero, along_second, zero, zero]
            return _pack(_Interval(step, end, end, infinity, infinity, *flags))

        def turn(loop):
            vector, evaluations, _, _ = loop
            trial, along_second, recall = vector[0], vector[_SECOND] > 0, vector[_RECALL] > 0
            d = direction if second is None else jnp.where(along_second, second, direction)
            slope0 = jnp.where(along_second, slope2, slope1)
            point = at(start.x + trial * d)
            new = End(trial, point.value, jnp.vdot(point.gradient, d))
            # Equal values may also lie on two sides of a hill: the slopes then tell a change.
            due = 0.5 * trial * jnp.abs(slope0 + new.slope)
            level = (jnp.abs(new.value - f0) <= noise) & (due <= 10 * noise)
            enough = (new.value <= f0 + c1 * trial * slope0) | level
            accepted = (enough & (jnp.abs(new.slope) <= -c2 * slope0)) | recall
            accepted = accepted & jnp.isfinite(new.value) & jnp.isfinite(new.slope)

            def go_on(vector):
                s = _unpack(vector)
                moved = _narrow(s, new, f0 + c1 * trial * slope0, noise)
                trials = s.trials + 1
                stuck = (trials >= max_trials) | _collapsed(moved, eps)
                better = (moved.best.step > 0) & (moved.best.value < f0)
                # The best step may be this trial, or an earlier one, which is evaluated again.
                taken = stuck & better & (moved.best.step == trial)
                recall = stuck & better & ~taken & ~(s.recall > 0)
                lost = stuck & ~taken & ~recall
                change = lost & ~(s.second > 0) & usable2
                failed = lost & ~change
                aim = jnp.where(recall, moved.best.step, jnp.where(taken, trial, moved.trial))
                new_vector = _pack(moved._replace(
                    trial=aim, trials=trials, recall=recall.astype(dtype),
                    failed=failed.astype(dtype),
                ))  # fmt: skip
                return jnp.where(change, begin(slope2, step2, one), new_vector), taken | failed

            vector, ended = jax.lax.cond(accepted, lambda v: (v, jnp.ones((), bool)), go_on, vector)
            return vector, evaluations + 1, ended, point

        initial = jnp.where(usable1, begin(slope1, step1, zero), begin(slope2, step2, one))
        loop = (initial, jnp.zeros((), jnp.int32), nothing, start)
        vector, evaluations, _, point = jax.lax.while_loop(lambda s: ~s[2], turn, loop)
        last = _unpack(vector)
        failed = nothing | (last.failed > 0)
        along_second = last.second > 0
        slope = jnp.where(along_second, slope2, slope1)
        length = jnp.where(failed, zero, last.trial)
        return Found(pick(failed, start, point), length, slope, evaluations, failed, along_second)


def _descends(slope, step):
    return (slope < 0) & jnp.isfinite(slope) & (step > 0) & jnp.isfinite(step)


def _narrow(s: _Interval, new: End, bound, noise) -> _Interval:
    """The interval after the trial `new`, and the next trial.

    A trial above `bound`, the line of sufficient decrease, or above the best value, or not finite,
    closes the interval; one with a slope of the other sign takes the place of the best, which
    becomes the other end. Values that differ by noise only count as equal.
    """
    best = s.best
    finite = jnp.isfinite(new.value) & jnp.isfinite(new.slope)
    closes = ~finite | (new.value > jnp.minimum(best.value, bound) + noise)
    turned = ~closes & (jnp.sign(new.slope) * jnp.sign(best.slope) < 0)
    apart = jnp.abs(new.value - best.value) > noise
    trial = jax.lax.cond(
        closes,
        lambda: _too_far(best, new),
        lambda: _onwards(best, s.other, new, s.bracketed > 0, turned, apart),
    )
    bracketed = (s.bracketed > 0) | closes | turned
    other = pick(closes, new, pick(turned, best, s.other))
    best = pick(closes, best, new)
    width = jnp.abs(other.step - best.step)
    # An interval that does not shrink by a third in two turns is halved.
    slow = bracketed & (width >= 0.66 * s.width_before)
    return s._replace(
        trial=jnp.where(slow, 0.5 * (best.step + other.step), trial),
        best=best,
        other=other,
        width=jnp.where(bracketed, width, s.width),
        width_before=s.width,
        bracketed=bracketed.astype(new.step.dtype),
    )


def _collapsed(s: _Interval, eps):
    """Whether the interval is down to rounding, so that no further trial can tell anything new."""
    low = jnp.minimum(s.best.step, s.other.step)
    high = jnp.maximum(s.best.step, s.other.step)
    edge = (s.trial <= low) | (s.trial >= high) | (high - low <= 4 * eps * high)
    return (s.bracketed > 0) & edge


# The next trial: the four cases of dcstep, as fractions of the span from `best` to `new`.


def _too_far(best: End, new: End):
    """Case 1, `new` is too high: nearer to `best`, by the cubic and by the quadratic."""
    span = new.step - best.step
    cubic, _, rise = _cubic(best, new)
    quadratic = 0.5 * best.slope / (best.slope - rise)
    ahead = jnp.minimum(1 - cubic, 0.5 * (1 - cubic + quadratic))
    ahead = jnp.where(jnp.isfinite(ahead), jnp.clip(ahead, 1e-3, 0.9), 0.1)
    return best.step + ahead * span


def _onwards(best: End, other: End, new: End, bracketed, turned, apart):
    """Cases 2 to 4: between two slopes of opposite sign, or beyond `new`."""
    span, reach = new.step - best.step, other.step - new.step
    cubic, valid, _ = _cubic(best, new)
    secant = new.slope / (new.slope - best.slope)
    # Case 2, the slope has turned: of cubic and secant the farther from `new`.
    between = jnp.where(apart, jnp.maximum(cubic, secant), secant)
    # Case 3, a slope that flattens: beyond `new`; case 4, one that does not: as far as allowed.
    flatter = jnp.abs(new.slope) < jnp.abs(best.slope)
    far = jnp.where(apart, jnp.where(valid, jnp.minimum(cubic, secant), -4), secant)
    far = jnp.where(flatter, jnp.clip(far, -4, -1.1), -4)
    near = jnp.where(apart & valid, jnp.maximum(cubic, secant), secant)
    most = jnp.abs(reach / span)
    near = jnp.where(flatter, jnp.maximum(near, -0.66 * most), -0.5 * most)
    back = jnp.where(turned, between, jnp.where(bracketed, near, far))
    return new.step - jnp.where(jnp.isfinite(back), back, 0.5) * span


def _cubic(best: End, new: End):
    """The cubic's minimiser, back from `new`; whether it lies beyond `new`; the mean slope."""
    span = new.step - best.step
    rise = (new.value - best.value) / span
    theta = best.slope + new.slope - 3 * rise
    root = jnp.sign(span) * _root(theta, best.slope, new.slope)
    back = (theta - root - new.slope) / (best.slope - new.slope - 2 * root)
    return back, (back < 0) & (root != 0), rise


def _root(theta, a, b):
    """sqrt(max(0, theta^2 - a b)), scaled so that it neither overflows nor underflows."""
    size = jnp.maximum(jnp.maximum(jnp.abs(theta), jnp.abs(a)), jnp.abs(b))
    size = jnp.where(size > 0, size, jnp.ones_like(size))
    return size * jnp.sqrt(jnp.maximum((theta / size) ** 2 - (a / size) * (b / size), 0))
