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
    best: End  # the best step so far, one end of the interval
    other: End  # the other end, once `bracketed`
    low: Any  # bounds for the next trial
    high: Any
    limit: Any  # no finite value was found at this step: stay below
    width: Any  # of the interval, now and one turn earlier
    width_before: Any
    bracketed: Any
    first_stage: Any  # until sufficient decrease was seen with a slope upwards
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
_LAYOUT = jax.tree.structure(_Interval(0, _END, _END, *[0] * 11))
_RECALL, _SECOND = -4, -3


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
        max_trials = jnp.asarray(self.max_trials, dtype)
        zero, one = jnp.zeros((), dtype), jnp.ones((), dtype)
        f0 = start.value
        noise = relative * jnp.abs(f0)
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
            infinity = jnp.full((), jnp.inf, dtype)
            return _pack(_Interval(
                step, end, end, low=zero, high=5 * step, limit=infinity, width=infinity,
                width_before=infinity, bracketed=zero, first_stage=one, recall=zero,
                second=along_second, trials=zero, failed=zero,
            ))  # fmt: skip

        def turn(loop):
            vector, evaluations, _, _ = loop
            trial, along_second, recall = vector[0], vector[_SECOND] > 0, vector[_RECALL] > 0
            d = direction if second is None else jnp.where(along_second, second, direction)
            slope0 = jnp.where(along_second, slope2, slope1)
            point = at(start.x + trial * d)
            new = End(trial, point.value, jnp.vdot(point.gradient, d))
            wolfe = (new.value <= f0 + c1 * trial * slope0) & (jnp.abs(new.slope) <= -c2 * slope0)
            level = (new.value <= f0 + noise) & (new.slope >= c2 * slope0)
            accepted = wolfe | (level & (new.slope <= (2 * c1 - 1) * slope0)) | recall
            accepted = accepted & jnp.isfinite(new.value) & jnp.isfinite(new.slope)

            def go_on(vector):
                s = _unpack(vector)
                moved = _narrow(s, new, c1 * slope0, f0, noise)
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


def _narrow(s: _Interval, new: End, test, f0, noise) -> _Interval:
    """The interval after the trial `new`, and the next trial (Moré and Thuente, section 4)."""
    t, best = new.step, s.best
    finite = jnp.isfinite(new.value) & jnp.isfinite(new.slope)
    bound = f0 + t * test
    first_stage = (s.first_stage > 0) & ~((new.value <= bound) & (new.slope >= 0) & finite)
    # In the first stage psi(t) = phi(t) - phi(0) - c1 t phi'(0) stands for phi.
    tilted = first_stage & (new.value <= best.value) & (new.value > bound)
    tilt = jnp.where(tilted, test, jnp.zeros_like(test))
    ends = [End(e.step, e.value - tilt * e.step, e.slope - tilt) for e in (best, s.other, new)]
    trial, closes, turned = jax.lax.optimization_barrier(
        _interpolate(*ends, s.bracketed > 0, s.low, s.high, noise)
    )
    bracketed = (s.bracketed > 0) | closes | turned
    other = pick(closes, new, pick(turned, best, s.other))
    best = pick(closes, best, new)
    width = jnp.abs(other.step - best.step)
    slow = bracketed & (width >= 0.66 * s.width_before)
    trial = jnp.where(slow, best.step + 0.5 * (other.step - best.step), trial)

    # A trial that is not finite says nothing but that it is too long.
    limit = jnp.where(finite, s.limit, t)
    best, other = pick(finite, best, s.best), pick(finite, other, s.other)
    shrunk = finite & bracketed
    bracketed = jnp.where(finite, bracketed, s.bracketed > 0)
    trial = jnp.where(finite, trial, best.step + 0.1 * (t - best.step))
    trial = jnp.where(trial < limit, trial, 0.5 * (best.step + limit))
    reach = trial - best.step
    return s._replace(
        trial=trial,
        best=best,
        other=other,
        low=jnp.where(bracketed, jnp.minimum(best.step, other.step), trial + 1.1 * reach),
        high=jnp.where(bracketed, jnp.maximum(best.step, other.step), trial + 4 * reach),
        limit=limit,
        width=jnp.where(shrunk, width, s.width),
        width_before=jnp.where(shrunk, s.width, s.width_before),
        bracketed=bracketed.astype(t.dtype),
        first_stage=first_stage.astype(t.dtype),
    )


def _collapsed(s: _Interval, eps):
    """Whether the interval is down to rounding, so that no further trial can tell anything new."""
    edge = (s.trial <= s.low) | (s.trial >= s.high) | (s.high - s.low <= 4 * eps * s.high)
    return ((s.bracketed > 0) & edge) | (s.trial == s.best.step)


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
