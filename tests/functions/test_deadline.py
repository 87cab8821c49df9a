import threading
import time

from steepest.functions.deadline import within


def test_values_and_end():
    result = within(10, lambda: iter([1, 2, 3]))
    assert result == ([1, 2, 3], True, None)


def test_an_exception_is_handed_over():
    def work():
        yield 1
        raise ValueError("no")

    result = within(10, work)
    assert result.values == [1]
    assert not result.finished
    assert isinstance(result.error, ValueError)


def test_an_endless_worker_is_stopped_and_what_it_yielded_kept():
    import sympy

    def work():
        yield "early"
        while True:
            try:
                sympy.factorint(2**67 - 1)
            except Exception:
                yield "swallowed"

    start = time.perf_counter()
    result = within(0.2, work)
    assert time.perf_counter() - start < 2
    assert result.values == ["early"]
    assert (result.finished, result.error) == (False, None)
    deadline = time.time() + 10
    while time.time() < deadline and any(
        t.name == "steepest-symbolic" for t in threading.enumerate()
    ):
        time.sleep(0.02)
    assert not any(t.name == "steepest-symbolic" for t in threading.enumerate())


def test_time_in_which_nothing_could_be_computed_counts_less():
    def work():
        time.sleep(0.3)  # as if others had the processor
        yield 1

    assert within(0.15, work) == ([1], True, None)


def test_the_caller_goes_on_even_if_the_worker_cannot_be_stopped():
    release = threading.Event()

    def work():
        release.wait(20)
        yield 1

    start = time.perf_counter()
    result = within(0.1, work)
    assert time.perf_counter() - start < 5
    assert result.values == []
    release.set()
