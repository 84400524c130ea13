"""Background work and its crashes, on a virtual clock."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from ringback.server.supervisor import Supervisor
from tests.server.clock import run
from tests.server.running import Logs


class Work:
    """Crashes after so many seconds each time it is begun; "crash" without end, or ends when the list is over."""

    def __init__(self, *lasting: float) -> None:
        self.lasting = list(lasting)
        self.begun: list[float] = []

    async def __call__(self) -> None:
        self.begun.append(asyncio.get_running_loop().time() - 1000.0)
        if not self.lasting:
            return
        await asyncio.sleep(self.lasting.pop(0))
        raise OSError(f"crash {len(self.begun)}")


def supervised(work: Work, seconds: float, **settings: Any) -> tuple[Supervisor, list[str], Logs]:
    """What became of `work` after so many seconds."""
    logs = Logs()
    failed: list[str] = []

    async def main() -> Supervisor:
        supervisor = Supervisor(logs.logger, failed.append, **settings)
        supervisor.start("work", work)
        assert supervisor.running == ["work"]
        await asyncio.sleep(seconds)
        await supervisor.stop()
        assert supervisor.running == []
        return supervisor

    return run(main()), failed, logs


def test_what_ends_is_done() -> None:
    work = Work()
    supervisor, failed, logs = supervised(work, 100.0)
    assert (work.begun, failed, supervisor.crashes, logs.text) == ([0.0], [], 0, "")


def test_each_crash_doubles_the_pause() -> None:
    work = Work(1.0, 1.0, 1.0, 1.0)
    supervisor, failed, logs = supervised(work, 100.0)
    assert work.begun == pytest.approx([0.0, 1.1, 2.3, 3.7, 5.5])
    assert (failed, supervisor.crashes) == ([], 4)
    entries = logs.of("a background task crashed")
    assert [(entry["level"], entry["task"], entry["crashes"]) for entry in entries] == [
        ("error", "work", number) for number in (1, 2, 3, 4)
    ]
    assert entries[3]["exception"].endswith("OSError: crash 4")


def test_too_many_crashes_in_the_period() -> None:
    work = Work(*[1.0] * 9)
    supervisor, failed, _ = supervised(work, 1000.0)
    assert failed == ["work crashed 5 times within 60 s"]
    assert (len(work.begun), supervisor.crashes) == (5, 5)


@pytest.mark.parametrize(("lasting", "crashes"), [(14.5, 5), (14.7, 100)])
def test_crashes_that_lie_further_apart(lasting: float, crashes: int) -> None:
    """Five in 60 seconds are too many; four, and the first of them is over a minute old when the fifth comes.

    Four pauses of 0.1, 0.2, 0.4 and 0.8 s lie between five crashes: 4 x 14.5 + 1.5 = 59.5 s, 4 x 14.7 + 1.5 = 60.3 s.
    """
    work = Work(*[lasting] * 100)
    supervisor, failed, _ = supervised(work, 10_000.0)
    assert (supervisor.crashes, len(failed)) == (crashes, crashes == 5)


def test_limits_of_its_own() -> None:
    work = Work(*[0.0] * 9)
    _, failed, _ = supervised(work, 100.0, most=3, period=10.0, delay=2.0)
    assert work.begun == pytest.approx([0.0, 2.0, 6.0])
    assert failed == ["work crashed 3 times within 10 s"]


def test_each_task_has_its_own_count() -> None:
    logs = Logs()
    failed: list[str] = []
    works = [Work(*[1.0] * 4) for _ in range(3)]

    async def main() -> int:
        supervisor = Supervisor(logs.logger, failed.append)
        for number, work in enumerate(works):
            supervisor.start(f"work {number}", work)
        assert supervisor.running == ["work 0", "work 1", "work 2"]
        await asyncio.sleep(100.0)
        return supervisor.crashes

    assert run(main()) == 12
    assert failed == []


def test_stopping_waits_for_the_end() -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600.0)
        finally:
            await asyncio.sleep(1.0)
            steps.append("tidied up")

    async def main() -> None:
        supervisor = Supervisor(Logs().logger, steps.append)
        supervisor.start("work", work)
        await asyncio.sleep(0)
        await supervisor.stop()
        steps.append("stopped")
        await supervisor.stop()

    run(main())
    assert steps == ["tidied up", "stopped"]


def test_stopping_while_it_pauses() -> None:
    work = Work(*[0.0] * 9)
    _, failed, _ = supervised(work, 0.05)
    assert (work.begun, failed) == ([0.0], [])


def test_the_name_of_the_task() -> None:
    """What `asyncio` itself says about a task names it."""
    names: list[str] = []

    def work() -> Coroutine[Any, Any, None]:
        async def look() -> None:
            task = asyncio.current_task()
            assert task is not None
            names.append(task.get_name())

        return look()

    async def main() -> None:
        supervisor = Supervisor(Logs().logger, names.append)
        supervisor.start("sweep", work)
        await asyncio.sleep(0)

    run(main())
    assert names == ["sweep"]
