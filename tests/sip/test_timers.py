"""Timers: one first-in-first-out queue for each duration, on a clock that is passed in."""

from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.timers import T1, T2, T4, T64, TIMER_C, TIMER_D, Timed, Timer, Timers


def fired(timers: Timers, now: float) -> list[tuple[float, int]]:
    """When each timer that is due was to fire, and its kind."""
    return [(timer.at, timer.kind) for timer in timers.due(now)]


def test_the_durations_are_those_of_the_rfc() -> None:
    """RFC 3261 table 4; timer C: "MUST be larger than 3 minutes" (16.6 step 11)."""
    assert (T1, T2, T4, T64, TIMER_D) == (0.5, 4.0, 5.0, 64 * 0.5, 32.0)
    assert TIMER_C > 180.0


def test_a_thing_that_can_own_timers_does_nothing_by_itself() -> None:
    timers = Timers()
    assert Timed().expired(1, 0.0, timers, []) == 0
    assert timers.deadline() is None


def test_nothing_runs_at_first() -> None:
    timers = Timers()
    assert timers.deadline() is None
    assert timers.due(1e9) == []
    assert timers.count() == 0


class TestOneDuration:
    def test_timers_fire_in_the_order_in_which_they_were_started(self) -> None:
        timers = Timers()
        for kind, now in enumerate((0.0, 0.25, 0.25, 1.0)):
            timers.start(now, T1, Timed(), kind)
        assert fired(timers, 0.75) == [(0.5, 0), (0.75, 1), (0.75, 2)]
        assert fired(timers, 1.5) == [(1.5, 3)]

    def test_a_timer_is_due_at_its_time_and_not_before(self) -> None:
        timers = Timers()
        owner = Timed()
        started = timers.start(1000.0, T4, owner, 7)
        assert (started.at, started.owner, started.kind) == (1005.0, owner, 7)
        assert fired(timers, 1004.999) == []
        assert timers.due(1005.0) == [started]

    def test_what_was_taken_is_gone(self) -> None:
        timers = Timers()
        timers.start(0.0, T1, Timed(), 1)
        assert len(timers.due(0.5)) == 1
        assert timers.due(0.5) == []
        assert timers.deadline() is None

    def test_it_keeps_its_owner_until_it_is_fired(self) -> None:
        """Whoever fires it needs to know whose it is, and can see that one fired before has cancelled it."""
        timers = Timers()
        owner = Timed()
        first, second = timers.start(0.0, T1, owner, 1), timers.start(0.0, T1, owner, 2)
        due = timers.due(0.5)
        assert [timer.owner for timer in due] == [owner, owner]
        second.cancel()
        assert [timer.owner for timer in due] == [owner, None]
        assert due == [first, second]

    def test_no_time_at_all_is_due_at_once(self) -> None:
        """Timers D, I, J and K over reliable transports."""
        timers = Timers()
        timers.start(3.0, 0.0, Timed(), 1)
        assert timers.deadline() == 3.0
        assert fired(timers, 3.0) == [(3.0, 1)]


class TestSeveralDurations:
    def test_the_earliest_is_first_whichever_queue_it_is_in(self) -> None:
        timers = Timers()
        timers.start(0.0, T64, Timed(), 1)
        timers.start(0.0, T1, Timed(), 2)
        timers.start(0.25, T4, Timed(), 3)
        timers.start(0.25, T1, Timed(), 4)
        assert timers.deadline() == 0.5
        assert fired(timers, 100.0) == [(0.5, 2), (0.75, 4), (5.25, 3), (32.0, 1)]

    def test_two_queues_are_enough_to_need_an_order(self) -> None:
        timers = Timers()
        timers.start(0.0, T2, Timed(), 1)
        timers.start(1.0, T1, Timed(), 2)
        assert fired(timers, 100.0) == [(1.5, 2), (4.0, 1)]

    def test_a_queue_with_nothing_due_keeps_what_it_has(self) -> None:
        timers = Timers()
        timers.start(0.0, T2, Timed(), 1)
        timers.start(0.0, T1, Timed(), 2)
        assert fired(timers, 0.5) == [(0.5, 2)]
        assert timers.deadline() == 4.0
        assert fired(timers, 4.0) == [(4.0, 1)]

    def test_at_one_time_the_duration_used_first_goes_first(self) -> None:
        timers = Timers()
        timers.start(0.0, 2.0, Timed(), 1)
        timers.start(1.0, 1.0, Timed(), 2)
        timers.start(0.0, 2.0, Timed(), 3)
        assert fired(timers, 2.0) == [(2.0, 1), (2.0, 3), (2.0, 2)]


class TestCancelling:
    def test_a_cancelled_timer_does_not_fire(self) -> None:
        timers = Timers()
        started = [timers.start(0.0, T1, Timed(), kind) for kind in range(3)]
        started[1].cancel()
        assert timers.count() == 2
        assert fired(timers, 0.5) == [(0.5, 0), (0.5, 2)]

    def test_the_deadline_passes_over_cancelled_timers(self) -> None:
        timers = Timers()
        first = timers.start(0.0, T1, Timed(), 1)
        timers.start(0.125, T1, Timed(), 2)
        timers.start(0.0, T2, Timed(), 3)
        first.cancel()
        assert timers.deadline() == 0.625
        assert timers.count() == 2

    def test_cancelling_all_leaves_no_deadline(self) -> None:
        timers = Timers()
        for started in [timers.start(0.0, delay, Timed(), 1) for delay in (T1, T1, T2)]:
            started.cancel()
        assert timers.deadline() is None
        assert timers.count() == 0
        assert timers.due(1e9) == []

    def test_cancelling_twice_or_after_firing_harms_nothing(self) -> None:
        timers = Timers()
        started = timers.start(0.0, T1, Timed(), 1)
        timers.start(0.0, T1, Timed(), 2)
        started.cancel()
        started.cancel()
        (other,) = timers.due(0.5)
        other.cancel()
        assert timers.due(1e9) == []

    def test_a_cancelled_timer_lets_go_of_its_owner(self) -> None:
        """What waits at the end of a long queue must not keep a transaction in memory until then."""
        timer = Timer(1.0, Timed(), 1)
        timer.cancel()
        assert timer.owner is None


def test_a_long_step_of_the_clock_misses_nothing() -> None:
    """Firing may start a timer that is due as well: the caller asks again until nothing is due."""
    timers = Timers()
    timers.start(0.0, T1, Timed(), 1)
    seen = []
    while due := timers.due(10.0):
        for timer in due:
            seen.append((timer.at, timer.kind))
            if timer.kind < 4:
                timers.start(timer.at, T1 * 2**timer.kind, Timed(), timer.kind + 1)
    assert seen == [(0.5, 1), (1.5, 2), (3.5, 3), (7.5, 4)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "cancel", "step"]),
            st.sampled_from([0.0, T1, T2, T4, T64, 0.2, 3.5]),
            st.integers(0, 30),
        ),
        max_size=60,
    )
)
def test_it_behaves_like_a_sorted_list(steps: list[tuple[str, float, int]]) -> None:
    """A model that knows nothing of queues: all timers in one list, searched in full each time."""
    timers = Timers()
    model: list[Timer] = []
    now = 0.0
    for position, (action, delay, index) in enumerate(steps):
        if action == "start":
            model.append(timers.start(now, delay, Timed(), position))
            assert model[-1].at == now + delay
        elif action == "cancel" and model:
            model.pop(index % len(model)).cancel()
        else:
            now += delay
            due = timers.due(now)
            assert {timer.kind for timer in due} == {timer.kind for timer in model if timer.at <= now}
            assert [timer.at for timer in due] == sorted(timer.at for timer in due)
            model = [timer for timer in model if timer.at > now]
        assert timers.deadline() == min((timer.at for timer in model), default=None)
        assert timers.count() == len(model)
