"""Test the order of image sets, retries after a lost worker, and the order of results."""

import numpy as np

from microsnoop_engine.distributor.assembly import ImageSetResult
from microsnoop_engine.distributor.executors.schedule import ATTEMPTS, Schedule
from microsnoop_engine.errors import InputError
from microsnoop_engine.images.image_set import ImageSet
from microsnoop_engine.modes.measure import Measurement

SETS = [ImageSet(number, {}) for number in range(1, 7)]


def rows(count=1):
    return ImageSetResult(Measurement(None, np.zeros((count, 256), np.float32)), count, [])


def numbers(schedule):
    return [image_set.number for image_set, _ in schedule.ready()]


def test_outcomes_come_in_order():
    schedule = Schedule(SETS, 1 << 20, 2)
    taken = [schedule.next() for _ in SETS]
    assert schedule.next() is None
    for place in (2, 1, 5):
        schedule.put(taken[place], rows())
    assert numbers(schedule) == []
    schedule.put(taken[0], InputError("bad"))
    assert numbers(schedule) == [1, 2, 3]
    for place in (3, 4):
        schedule.put(taken[place], rows())
    assert numbers(schedule) == [4, 5, 6]
    assert schedule.finished


def test_rows_that_wait_for_their_turn_fit_the_memory_but_every_worker_has_something():
    for memory, under_way in ((3 * 1024, 3), (10, 2)):
        schedule = Schedule(SETS, memory, 2)
        schedule.put(schedule.next(), rows())
        assert numbers(schedule) == [1]
        given = [image_set for image_set in (schedule.next() for _ in SETS) if image_set]
        assert len(given) == under_way
        schedule.put(given[0], rows())
        assert schedule.next() is None
        assert numbers(schedule) == [2]
        assert schedule.next() is not None


def test_suspects_are_retried_alone_and_not_without_end():
    schedule = Schedule(SETS[:3], 1 << 20, 2)
    first, second, third = (schedule.next() for _ in range(3))
    schedule.put(third, rows())
    schedule.lose([first, second], "it burns")
    for _ in range(ATTEMPTS - 1):
        assert schedule.has_suspects
        suspect = schedule.next_suspect()
        assert schedule.is_suspect(suspect)
        if suspect is second:
            schedule.put(second, rows())
            suspect = schedule.next_suspect()
        schedule.lose([suspect], "it burns")
    assert not schedule.has_suspects
    (_, failure), *others = list(schedule.ready())
    assert str(failure) == f"killed the worker {ATTEMPTS} times: it burns"
    assert [image_set.number for image_set, _ in others] == [2, 3]
    assert not schedule.is_suspect(third)
