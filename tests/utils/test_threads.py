"""Laws of the threads that work calls off, and of `map` on them."""

import contextlib
import gc
import subprocess
import sys
import threading
import time
import weakref

import pytest

from spleeter.utils.threads import ThreadMap, Threads


def test_calls_return_or_raise_in_their_futures() -> None:
    threads = Threads(2, "test")
    assert threads.submit(divmod, 7, 2).result() == (3, 1)
    assert isinstance(threads.submit(divmod, 7, 0).exception(), ZeroDivisionError)
    assert threads.submit(int, "11", base=2).result() == 3


def test_each_thread_is_prepared_first() -> None:
    seen = threading.local()
    threads = Threads(3, "test", lambda: setattr(seen, "is_prepared", True))
    assert threads.map(lambda _: seen.is_prepared, range(20)) == [True] * 20


def test_shutdown_waits_for_what_was_submitted() -> None:
    done: list[int] = []

    def finish_late(number: int) -> None:
        time.sleep(0.01)
        done.append(number)

    threads = Threads(2, "test")
    for number in range(6):
        threads.submit(finish_late, number)
    threads.shutdown()
    threads.shutdown()  # once more is nothing
    assert sorted(done) == list(range(6))


def test_what_an_error_was_about_is_not_kept() -> None:
    class Large:
        pass

    held: list[weakref.ref[Large]] = []

    def fail(_: int) -> None:
        large = Large()
        held.append(weakref.ref(large))
        raise ValueError("too large")

    gc.disable()
    try:
        threads = Threads(2, "test")
        with contextlib.suppress(ValueError):
            threads.map(fail, [1])
        deadline = time.monotonic() + 10
        while held[0]() is not None:  # the thread may be about to let it go
            assert time.monotonic() < deadline
    finally:
        gc.enable()


AFTER_MAIN = """
import threading, time
from spleeter.utils.threads import Threads
threads = Threads(2, "test")
def late():
    threading.main_thread().join()
    time.sleep(0.2)
    print(threads.map(abs, [-1, 2, -3]), Threads(1, "test").map(abs, [-4]))
threading.Thread(target=late).start()
"""


def test_they_work_for_threads_that_go_on_when_the_main_thread_has_ended() -> None:
    done = subprocess.run([sys.executable, "-c", AFTER_MAIN], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1, 2, 3] [4]\n", "")


# --- map on threads ---------------------------------------------------------------------------------------------


def mapping(n_threads: int) -> ThreadMap:
    on_threads = ThreadMap()
    on_threads.n_threads = n_threads
    return on_threads


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("n_items", [0, 1, 50])
def test_results_come_in_the_order_of_the_items(n_threads: int, n_items: int) -> None:
    def square_late(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number**2

    assert mapping(n_threads)(square_late, range(n_items)) == [number**2 for number in range(n_items)]


@pytest.mark.parametrize("n_threads", [2, 3])
def test_as_many_threads_as_asked_for_work_side_by_side(n_threads: int) -> None:
    """They all meet at a barrier, which fewer could not pass; and there are no more of them."""
    barrier, on_threads = threading.Barrier(n_threads, timeout=10), mapping(n_threads)

    def meet(_: int) -> int:
        barrier.wait()
        return threading.get_ident()

    used = {ident for _ in range(5) for ident in on_threads(meet, range(n_threads))}
    assert len(used) == n_threads
    assert threading.get_ident() not in used


def test_one_thread_is_the_callers() -> None:
    before = threading.active_count()
    assert set(ThreadMap()(lambda _: threading.get_ident(), range(5))) == {threading.get_ident()}
    assert threading.active_count() == before


def test_an_error_reaches_the_caller_of_map_and_the_threads_go_on() -> None:
    on_threads = mapping(2)
    with pytest.raises(ZeroDivisionError):
        on_threads(lambda number: 10 // number, [1, 2, 0, 5])
    assert on_threads(lambda number: 10 // number, [1, 2, 5]) == [10, 5, 2]


def map_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("spleeter-map")}


def test_threads_are_kept_and_end_with_another_number_or_with_the_map() -> None:
    others = map_threads()

    def of(on_threads: ThreadMap) -> set[threading.Thread]:
        on_threads(lambda _: time.sleep(0.01), range(10))
        return map_threads() - others

    on_threads = mapping(3)
    three = of(on_threads)
    assert of(on_threads) == three
    on_threads.n_threads = 2
    assert not any(thread.is_alive() for thread in three)
    two = of(on_threads)
    assert (len(three), len(two)) == (3, 2)
    del on_threads
    gc.collect()
    for thread in two:
        thread.join(10)
    assert not any(thread.is_alive() for thread in two)


def test_shutdown_ends_threads_while_the_interpreter_ends() -> None:
    program = """
import atexit, weakref
from spleeter.utils.threads import Threads
threads = Threads(1, "test")
atexit.register(threads.shutdown)
weakref.finalize._exitfunc()  # finalizers do nothing from here on
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
