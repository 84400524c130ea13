"""Quality repair: which step comes when, with which reason, when it is taken back, and that nothing flaps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from ringback.media.quality import Report
from ringback.media.repair import Means, Repair, Settings, Step

OPUS = Means(Settings("opus"), ("opus", "PCMU"))
PCMU = Means(Settings("PCMU"), ("PCMU", "opus"))
ONLY_PCMU = Means(Settings("PCMU"), ("PCMU", "PCMA"), frames=(20,))


class Call:
    """A call that carries out what repair asks for, on a virtual clock; loss and round trip are functions of it."""

    def __init__(self, means: Means, willing: bool = True) -> None:
        self.repair = Repair()
        self.means = means
        self.willing = willing
        self.now = 100.0
        self.start = 100.0
        self.packets = 0
        self.steps: list[tuple[float, Step]] = []

    def run(self, seconds: float, loss: float | Callable[[float], float], trip: float | None = 50.0) -> list[str]:
        """The steps of these seconds, as `second: kind` (with a minus when it was taken back)."""
        began, count = self.now, len(self.steps)
        for _ in range(int(seconds)):
            self.now += 1
            self.packets += 50
            value = loss(self.now - began) if callable(loss) else loss
            step = self.repair.measure([report(value, trip, self.packets)], self.means, self.now)
            if step is None:
                continue
            self.steps.append((self.now, step))
            if self.willing:
                self.means = replace(self.means, settings=step.after)
            else:
                self.repair.refused(step, self.now)
        return [f"{at - began:.0f}: {'-' if step.undoes else ''}{step.kind}" for at, step in self.steps[count:]]

    @property
    def settings(self) -> Settings:
        return self.means.settings


def report(loss: float, trip: float | None, packets: int, direction: str = "received") -> Report:
    return Report(direction, 0.0, "opus", loss, 5.0, trip, 100.0, 80.0, 4.0, packets, 0, 0, 1.0)  # type: ignore[arg-type]


class TestLoss:
    def test_fec_after_some_seconds_with_the_figures(self) -> None:
        call = Call(OPUS)
        assert call.run(20, 0.082) == ["7: fec"]
        step = call.steps[0][1]
        assert step.reason == "loss 8.2 % for 6 s"
        assert step.before == Settings("opus")
        assert step.after == call.settings == Settings("opus", fec=True)
        assert (step.expected_loss, step.undoes, step.change) == (8, None, "FEC on")
        assert call.repair.applied == [step]

    def test_a_codec_that_has_fec(self) -> None:
        call = Call(PCMU)
        assert call.run(20, 0.08) == ["7: codec"]
        assert call.settings == Settings("opus", fec=True)
        assert call.steps[0][1].change == "PCMU to opus"
        assert call.steps[0][1].expected_loss == 8

    def test_the_encoder_is_not_told_of_more_than_fec_can_mend(self) -> None:
        call = Call(OPUS)
        call.run(10, 0.45)
        assert call.steps[0][1].expected_loss == 30
        assert call.steps[0][1].reason == "loss 45.0 % for 6 s"

    def test_the_figures_are_those_of_the_trouble_that_lasts(self) -> None:
        call = Call(PCMU)
        assert call.run(4, 0.5) == []
        assert call.run(4, 0.0) == []
        assert call.run(8, 0.1) == ["7: codec"]
        assert call.steps[0][1].reason == "loss 10.0 % for 6 s"

    def test_with_fec_the_same_loss_is_bearable(self) -> None:
        call = Call(PCMU)
        assert call.run(300, 0.08) == ["7: codec"]

    def test_more_loss_goes_on_to_less_to_send(self) -> None:
        call = Call(replace(PCMU, settings=Settings("PCMU", video=True)))
        assert call.run(120, 0.2) == ["7: codec", "21: bitrate", "35: bitrate", "49: video"]
        assert call.settings == Settings("opus", fec=True, bit_rate=12000)
        assert [step.change for _, step in call.steps] == ["PCMU to opus", "16 kbit/s", "12 kbit/s", "video paused"]

    def test_only_what_can_be_taken(self) -> None:
        assert Call(ONLY_PCMU).run(120, 0.2) == []
        assert Call(replace(ONLY_PCMU, settings=Settings("PCMU", video=True))).run(120, 0.2) == ["7: video"]
        assert Call(replace(OPUS, lowest_bit_rate=0)).run(120, 0.2) == ["7: fec"]

    @pytest.mark.parametrize("loss", [0.0, 0.01, 0.039])
    def test_loss_that_is_bearable(self, loss: float) -> None:
        assert Call(PCMU).run(300, loss) == []

    def test_short_trouble(self) -> None:
        call = Call(PCMU)
        assert call.run(300, lambda second: 0.5 if second % 20 < 6 else 0.0) == []

    def test_trouble_that_pauses_for_a_moment_is_the_same_trouble(self) -> None:
        call = Call(PCMU)
        assert call.run(10, lambda second: 0.03 if second in (3, 5) else 0.09) == ["7: codec"]
        assert call.steps[0][1].reason == f"loss {100 * (0.09 * 5 + 0.03 * 2) / 7:.1f} % for 6 s"

    def test_the_worse_direction_counts(self) -> None:
        repair = Repair()
        steps = []
        for second in range(15):
            reports = [report(0.0, 50.0, second, "received"), report(0.08, 50.0, second, "sent")]
            steps.append(repair.measure(reports, PCMU, 100.0 + second))
        assert [step.kind for step in steps if step] == ["codec"]


class TestDelay:
    def test_longer_frames_for_a_long_round_trip(self) -> None:
        call = Call(OPUS)
        assert call.run(60, 0.0, trip=700) == ["7: frames", "21: frames", "35: bitrate", "49: bitrate"]
        assert call.steps[0][1].reason == "round trip 700 ms for 6 s"
        assert call.steps[0][1].change == "frames of 20 to 40 ms"
        assert call.settings == Settings("opus", frame=60, bit_rate=12000)

    def test_a_codec_of_a_lower_rate_first(self) -> None:
        assert Call(PCMU).run(25, 0.0, trip=700) == ["7: codec", "21: frames"]

    def test_only_frames_that_both_take(self) -> None:
        assert Call(replace(ONLY_PCMU, frames=(10, 20, 30))).run(60, 0.0, trip=700) == ["7: frames"]

    def test_loss_with_queues_that_fill_is_a_thin_path(self) -> None:
        call = Call(OPUS)
        assert call.run(30, 0.0, trip=50) == []
        assert call.run(50, 0.15, trip=300) == ["7: fec", "21: frames", "35: frames", "49: bitrate"]
        assert call.steps[1][1].reason == "loss 15.0 % for 6 s, round trip grown from 50 to 300 ms"

    def test_loss_and_delay(self) -> None:
        call = Call(OPUS)
        call.run(10, 0.1, trip=800)
        assert call.steps[0][1].reason == "loss 10.0 % for 6 s, round trip 800 ms for 6 s"

    def test_an_unknown_round_trip_is_no_trouble(self) -> None:
        assert Call(PCMU).run(100, 0.0, trip=None) == []


class TestUndoing:
    def test_one_at_a_time_the_last_first(self) -> None:
        call = Call(replace(PCMU, settings=Settings("PCMU", video=True)))
        before = call.settings
        call.run(50, 0.2)
        assert call.run(200, 0.002) == ["31: -video", "62: -bitrate", "93: -bitrate", "124: -codec"]
        assert call.settings == before
        assert call.repair.applied == []
        step = call.steps[-1][1]
        assert step.undoes == call.steps[0][1]
        assert step.reason == "loss 0.2 %, round trip 50 ms: good for 30 s"
        assert step.change == "opus to PCMU"
        assert [step.change for _, step in call.steps[-4:-1]] == ["video on", "16 kbit/s", "full bit rate"]

    def test_not_while_anything_is_left_of_it(self) -> None:
        call = Call(OPUS)
        call.run(10, 0.08)
        assert call.run(300, 0.02) == []
        assert call.run(300, 0.0, trip=450) == []
        assert call.run(60, lambda second: 0.0 if second % 25 else 0.03) == []
        # The last trouble was ten seconds ago.
        assert call.run(35, 0.0) == ["21: -fec"]

    def test_a_step_that_was_taken_back_too_early_is_kept_twice_as_long(self) -> None:
        call = Call(OPUS)
        waits = []
        for _ in range(6):
            # Bad again as soon as it was taken back.
            (again,) = call.run(16, 0.08)
            assert again.endswith(": fec")
            waits.append(0)
            while not call.run(1, 0.0):
                waits[-1] += 1
        assert waits == [30, 60, 120, 240, 480, 480]

    def test_it_is_patient_when_bad_and_good_take_turns(self) -> None:
        call = Call(OPUS)
        # 20 s bad, 40 s good, for two hours: without patience that were 240 steps.
        steps = call.run(7200, lambda second: 0.08 if second % 60 < 20 else 0.0)
        assert len(steps) <= 4
        assert steps[:2] == ["7: fec", "50: -fec"]

    def test_a_network_that_is_at_the_edge_for_hours(self) -> None:
        chance = random.Random(3)
        # The loss of windows of 250 packets with 4 % lost.
        call = Call(PCMU)
        steps = call.run(7200, lambda second: sum(chance.random() < 0.04 for _ in range(250)) / 250)
        assert len(steps) == 1

    def test_what_is_back_after_a_long_time_starts_anew(self) -> None:
        call = Call(OPUS)
        call.run(10, 0.08)
        assert call.run(400, 0.0) == ["31: -fec"]
        assert call.run(10, 0.08) == ["7: fec"]
        assert call.run(40, 0.0) == ["31: -fec"]


class TestOthers:
    def test_what_is_refused_is_not_asked_for_again_for_minutes(self) -> None:
        call = Call(replace(PCMU, settings=Settings("PCMU", video=True)), willing=False)
        assert call.run(290, 0.2) == ["7: codec", "14: video"]
        assert call.repair.applied == []
        assert call.run(60, 0.2) == ["17: codec", "24: video"]

    def test_a_refused_undoing_is_tried_again_later(self) -> None:
        call = Call(OPUS)
        call.run(10, 0.08)
        call.willing = False
        assert call.run(60, 0.0) == ["31: -fec"]
        assert call.repair.applied == [call.steps[0][1]]
        call.willing = True
        assert call.run(400, 0.0) == ["271: -fec"]
        assert call.repair.applied == []

    def test_what_somebody_else_has_undone_is_forgotten(self) -> None:
        call = Call(PCMU)
        call.run(10, 0.08)
        call.run(20, 0.0)
        call.means = PCMU
        assert call.run(100, 0.0) == []
        assert call.repair.applied == []

    def test_a_step_may_take_its_time(self) -> None:
        call = Call(PCMU, willing=True)
        call.run(8, 0.08)
        call.means, later = PCMU, call.means
        assert call.run(5, 0.08) == []
        call.means = later
        call.run(20, 0.08)
        assert len(call.repair.applied) == 1

    def test_no_news_is_not_good_news(self) -> None:
        call = Call(OPUS)
        call.run(10, 0.08)
        for second in range(300):
            assert call.repair.measure([], call.means, call.now + second) is None
            assert call.repair.measure([report(0.0, 50.0, call.packets)], call.means, call.now + second) is None
        call.now += 300
        assert call.run(40, 0.0) == ["31: -fec"]

    def test_a_long_pause_between_measurements_ends_what_was(self) -> None:
        call = Call(PCMU)
        assert call.run(6, 0.08) == []
        call.now += 60
        assert call.run(6, 0.08) == []
        assert call.run(3, 0.08) == ["1: codec"]
