"""Plans, stages and decisions: what the defaults promise, and how a decision reads."""

import pytest

from ringback.sip.plan import Decision, Plan, Stage
from ringback.sip.route import Self
from ringback.sip.target import Target

BOB = Target("sip:bob@192.0.2.4", None, (), 1000, "a binding", [])


def test_a_stage_rings_as_long_as_timer_c_allows_unless_it_says_otherwise() -> None:
    assert (Stage([BOB]).targets, Stage([BOB]).seconds) == ([BOB], 0.0)
    assert Stage([BOB], 20.0).seconds == 20.0


def test_a_plan_records_the_route_and_sends_redirections_back_unless_it_says_otherwise() -> None:
    stages = [Stage([BOB]), Stage([])]
    plain = Plan(stages)
    assert (plain.stages, plain.record_route, plain.recurse, plain.element) == (stages, True, False, None)
    element = Self(["example.org"], [])
    other = Plan(stages, record_route=False, recurse=True, element=element)
    assert (other.record_route, other.recurse, other.element) == (False, True, element)


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (Decision(1.5, "forward", "sip:bob@192.0.2.4", 0, "a binding"), "forward sip:bob@192.0.2.4: a binding"),
        (Decision(1.5, "answer", "sip:bob@192.0.2.4", 200, "it did"), "answer 200 sip:bob@192.0.2.4: it did"),
        (Decision(1.5, "refuse", "", 440, "too many targets"), "refuse 440: too many targets"),
        (Decision(1.5, "answer", "", 0, "made here"), "answer: made here"),
    ],
)
def test_how_a_decision_reads(decision: Decision, text: str) -> None:
    assert repr(decision) == text
    assert decision.at == 1.5
