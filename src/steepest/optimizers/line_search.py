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

    `second` tells that the second direction was followed. `slope` is phi'(0) of the direction taken.
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


class _Search(NamedTuple):
    trial: Any  # the next step to try
    best: End  # the best step so far, one end of the interval
    other: End  # the other end, once `bracketed`
    low: Any  # bounds for the next trial
    high: Any
    limit: Any  # no finite value was found at this step; stay below
    width: Any  # of the interval, now and one turn earlier
    width_before: Any
    bracketed: Any
    first_stage: Any  # until sufficient decrease was seen with a slope upwards
    recall: Any  # the trial repeats the best step, to be accepted as it is
    second: Any
    trials: Any  # along this direction
    evaluations: Any
    done: Any
    failed: Any
    point: Point  # of the last trial


@record
class StrongWolfe:
    """Line search for the strong Wolfe conditions, by Moré and Thuente's safeguarded interpolation.

        phi(t) <= phi(0) + c1 t phi'(0)        sufficient decrease, c1 = `decrease`
        |phi'(t)| <= c2 |phi'(0)|              curvature,           c2 = `curvature`

    Near a minimum f is flat to rounding long before its gradient vanishes. Differences of f below
    `rounding` x |f| are therefore not trusted there: Hager and Zhang's approximate conditions,
    which use slopes only, are accepted too,

        (2 c1 - 1) phi'(0) >= phi'(t) >= c2 phi'(0)   and   phi(t) <= phi(0) + rounding |phi(0)|.

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

    decrease: float = number(1e-4, above=0, below=0.5, help="c1, of the sufficient decrease")
    curvature: float = number(0.9, above=0, below=1, help="c2, of the slope that may remain")
    max_trials: int = number(20, least=1, help="evaluations along one direction")
    rounding: float = number(
        None, least=0, optional=True, help="relative noise of f; None: 100 units of rounding"
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
    ) -> Found:
        """Search from `start` along `direction`, first trial at `step`.

        `second`, `second_step`: the direction to follow where the first fails or does not descend.
        `skip` makes no trial at all (a run that has ended).
        """
        dtype = start.x.dtype
        eps = jnp.finfo(dtype).eps
        c1, c2 = jnp.asarray(self.decrease, dtype), jnp.asarray(self.curvature, dtype)
        relative = jnp.asarray(100 * eps if self.rounding is None else self.rounding, dtype)
        f0 = start.value
        noise = relative * jnp.abs(f0)
        slope1 = jnp.vdot(start.gradient, direction)
        step1 = jnp.asarray(step, dtype)
        if second is None:
            slope2, step2 = jnp.zeros((), dtype), step1
        else:
            slope2 = jnp.vdot(start.gradient, second)
            step2 = jnp.asarray(second_step, dtype)
        usable1, usable2 = _descends(slope1, step1), _descends(slope2, step2)
        usable1 = usable1 & jnp.isfinite(f0)
        usable2 = usable2 & jnp.isfinite(f0)
        nothing = ~usable1 & ~usable2 | jnp.asarray(skip)

        def begin(with_second):
            """The interval before the first trial along one of the two directions."""
            t = jnp.where(with_second, step2, step1)
            slope = jnp.where(with_second, slope2, slope1)
            zero, infinity = jnp.zeros((), dtype), jnp.full((), jnp.inf, dtype)
            end = End(zero, f0, slope)
            return {
                "trial": t, "best": end, "other": end, "low": zero, "high": 5 * t,
                "limit": infinity, "width": infinity, "width_before": infinity,
                "bracketed": jnp.zeros((), bool), "first_stage": jnp.ones((), bool),
                "recall": jnp.zeros((), bool), "second": with_second,
                "trials": jnp.zeros((), jnp.int32),
            }  # fmt: skip

        def turn(s: _Search) -> _Search:
            d = direction if second is None else jnp.where(s.second, second, direction)
            slope0 = jnp.where(s.second, slope2, slope1)
            t = s.trial
            point = at(start.x + t * d)
            new = End(t, point.value, jnp.vdot(point.gradient, d))
            finite = jnp.isfinite(new.value) & jnp.isfinite(new.slope)
            trials = s.trials + 1

            enough = new.value <= f0 + c1 * t * slope0
            wolfe = enough & (jnp.abs(new.slope) <= -c2 * slope0)
            flat = new.value <= f0 + noise
            approximate = flat & ((2 * c1 - 1) * slope0 >= new.slope) & (new.slope >= c2 * slope0)
            accepted = finite & (wolfe | approximate | s.recall)

            moved = _narrow(s, new, finite, slope0, c1 * slope0, f0, noise)
            stuck = (trials >= self.max_trials) | _collapsed(moved, eps)
            better = (moved.best.step > 0) & (moved.best.value < f0)
            # The best step may be this very trial, or an earlier one, which is then evaluated again.
            accepted = accepted | (stuck & better & (moved.best.step == t))
            recall = stuck & better & ~accepted & ~s.recall
            lost = stuck & ~accepted & ~recall
            change = lost & ~s.second & usable2
            failed = lost & ~change
            moved = moved._replace(
                trial=jnp.where(accepted, t, jnp.where(recall, moved.best.step, moved.trial)),
                recall=recall,
                trials=trials,
                evaluations=s.evaluations + 1,
                done=accepted | failed,
                failed=failed,
                point=point,
            )
            if second is None:
                return moved
            fresh = begin(jnp.ones((), bool))
            return moved._replace(
                **{k: pick(change, v, getattr(moved, k)) for k, v in fresh.items()}
            )

        first = _Search(
            **begin(~usable1 if second is not None else jnp.zeros((), bool)),
            evaluations=jnp.zeros((), jnp.int32),
            done=nothing,
            failed=nothing,
            point=start,
        )
        last = jax.lax.while_loop(lambda s: ~s.done, turn, first)
        slope = jnp.where(last.second, slope2, slope1)
        point = pick(last.failed, start, last.point)
        length = jnp.where(last.failed, jnp.zeros((), dtype), last.trial)
        return Found(point, length, slope, last.evaluations, last.failed, last.second)


def _descends(slope, step):
    return (slope < 0) & jnp.isfinite(slope) & (step > 0) & jnp.isfinite(step)


def _narrow(s: _Search, new: End, finite, slope0, test, f0, noise) -> _Search:
    """The interval after the trial `new`, and the next trial (Moré and Thuente, section 4)."""
    t, best = new.step, s.best
    bound = f0 + t * test
    first_stage = s.first_stage & ~((new.value <= bound) & (new.slope >= 0) & finite)
    # In the first stage psi(t) = phi(t) - phi(0) - c1 t phi'(0) stands for phi.
    tilted = first_stage & (new.value <= best.value) & (new.value > bound)
    tilt = jnp.where(tilted, test, jnp.zeros_like(test))
    trial, closes, turned = _interpolate(
        _tilt(best, tilt), _tilt(s.other, tilt), _tilt(new, tilt), s.bracketed, s.low, s.high, noise
    )
    bracketed = s.bracketed | closes | turned
    other = pick(closes, new, pick(turned, best, s.other))
    best = pick(closes, best, new)
    width = jnp.abs(other.step - best.step)
    slow = bracketed & (width >= 0.66 * s.width_before)
    trial = jnp.where(slow, best.step + 0.5 * (other.step - best.step), trial)
    width_before = jnp.where(bracketed, s.width, s.width_before)
    width = jnp.where(bracketed, width, s.width)

    # A trial that is not finite says nothing but that it is too long.
    limit = jnp.where(finite, s.limit, t)
    best, other = pick(finite, best, s.best), pick(finite, other, s.other)
    bracketed = jnp.where(finite, bracketed, s.bracketed)
    trial = jnp.where(finite, trial, best.step + 0.1 * (t - best.step))
    trial = jnp.where(trial < limit, trial, 0.5 * (best.step + limit))
    reach = trial - best.step
    low = jnp.where(bracketed, jnp.minimum(best.step, other.step), trial + 1.1 * reach)
    high = jnp.where(bracketed, jnp.maximum(best.step, other.step), trial + 4 * reach)
    return s._replace(
        trial=trial, best=best, other=other, low=low, high=high, limit=limit, first_stage=first_stage,
        bracketed=bracketed, width=jnp.where(finite, width, s.width),
        width_before=jnp.where(finite, width_before, s.width_before),
    )  # fmt: skip


def _collapsed(s: _Search, eps):
    """Whether the interval is down to rounding, so that no further trial can tell anything new."""
    edge = s.bracketed & ((s.trial <= s.low) | (s.trial >= s.high))
    tiny = s.bracketed & (s.high - s.low <= 4 * eps * s.high)
    return edge | tiny | (s.trial == s.best.step)


def _tilt(end: End, tilt) -> End:
    return End(end.step, end.value - tilt * end.step, end.slope - tilt)


def _interpolate(best: End, other: End, new: End, bracketed, low, high, noise):
    """`(next trial, new closes the interval, new takes best's place with best as the other end)`.

    The four cases of dcstep: a higher value; a slope of the other sign; a smaller slope of the same
    sign; and a slope that is not smaller. Values that differ by noise only count as equal.
    """
    span = new.step - best.step
    apart = jnp.abs(new.value - best.value) > noise
    closes = (new.value > best.value) & apart
    turned = ~closes & (jnp.sign(new.slope) * jnp.sign(best.slope) < 0)
    flatter = jnp.abs(new.slope) < jnp.abs(best.slope)
    forward = span > 0

    theta = 3 * ((best.value - new.value) / span) + best.slope + new.slope
    root = _root(theta, best.slope, new.slope)
    secant = new.step - (new.slope / (new.slope - best.slope)) * span

    # Case 1: between the minimiser of the cubic and that of the quadratic through both values.
    gamma = jnp.where(forward, root, -root)
    r = (gamma - best.slope + theta) / (2 * gamma - best.slope + new.slope)
    cubic = best.step + r * span
    secant0 = best.slope / ((best.value - new.value) / span + best.slope)
    quadratic = best.step + 0.5 * secant0 * span
    nearer = jnp.abs(cubic - best.step) < jnp.abs(quadratic - best.step)
    one = jnp.where(nearer, cubic, 0.5 * (cubic + quadratic))
    least = best.step + 1e-3 * span
    one = jnp.where((one - least) * span > 0, one, least)
    one = jnp.where(jnp.isfinite(quadratic) & jnp.isfinite(cubic), one, best.step + 0.1 * span)

    # Case 2: of the cubic and the secant step, the one farther from the new trial.
    gamma = -gamma
    r = (gamma - new.slope + theta) / (2 * gamma - new.slope + best.slope)
    cubic = new.step - r * span
    farther = (jnp.abs(cubic - new.step) > jnp.abs(secant - new.step)) & apart
    two = jnp.where(farther, cubic, secant)

    # Case 3: the cubic is used only where it has its minimum beyond the new trial.
    edge = jnp.where(forward, high, low)
    cubic = jnp.where(apart, jnp.where((r < 0) & (gamma != 0), cubic, edge), secant)
    nearer = jnp.abs(cubic - new.step) < jnp.abs(secant - new.step)
    inside = jnp.where(nearer, cubic, secant)
    most = new.step + 0.66 * (other.step - new.step)
    inside = jnp.where(forward, jnp.minimum(most, inside), jnp.maximum(most, inside))
    outside = jnp.clip(jnp.where(nearer, secant, cubic), low, high)
    three = jnp.where(bracketed, inside, outside)

    # Case 4: towards the other end, or as far as allowed.
    reach = other.step - new.step
    theta = 3 * ((new.value - other.value) / reach) + other.slope + new.slope
    root = _root(theta, other.slope, new.slope)
    gamma = jnp.where(reach < 0, -root, root)
    r = (gamma - new.slope + theta) / (2 * gamma - new.slope + other.slope)
    four = jnp.where(bracketed, new.step + r * reach, edge)

    trial = jnp.where(closes, one, jnp.where(turned, two, jnp.where(flatter, three, four)))
    middle = 0.5 * (best.step + jnp.where(bracketed & ~closes, other.step, new.step))
    return jnp.where(jnp.isfinite(trial), trial, middle), closes, turned


def _root(theta, a, b):
    """sqrt(max(0, theta^2 - a b)), scaled so that it neither overflows nor underflows."""
    size = jnp.maximum(jnp.maximum(jnp.abs(theta), jnp.abs(a)), jnp.abs(b))
    size = jnp.where(size > 0, size, jnp.ones_like(size))
    return size * jnp.sqrt(jnp.maximum((theta / size) ** 2 - (a / size) * (b / size), 0))
