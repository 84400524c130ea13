"""A target is what it was made of, and says so."""

import pytest

from ringback.sip.target import Target
from ringback.sip.transport import Flow

FLOW = Flow("TCP", "tcp:192.0.2.1:5060", "192.0.2.4", 49152, 7)


def test_what_it_holds() -> None:
    spare = Target("sip:bob@192.0.2.9", None, (), 0, "second binding", [])
    target = Target("sip:bob@192.0.2.4", FLOW, ("<sip:edge;lr>",), 700, "first binding", [spare])
    assert (target.uri, target.q, target.reason) == ("sip:bob@192.0.2.4", 700, "first binding")
    assert target.flow is FLOW
    assert target.routes == ("<sip:edge;lr>",)
    assert target.alternatives == [spare]


@pytest.mark.parametrize(
    ("alternatives", "text"),
    [
        (0, "<Target sip:bob@192.0.2.4: a binding>"),
        (1, "<Target sip:bob@192.0.2.4: a binding and 1 more>"),
        (2, "<Target sip:bob@192.0.2.4: a binding and 2 more>"),
    ],
)
def test_how_it_is_shown(alternatives: int, text: str) -> None:
    spares = [Target("sip:bob@192.0.2.9", None, (), 1000, "spare", [])] * alternatives
    assert repr(Target("sip:bob@192.0.2.4", None, (), 1000, "a binding", spares)) == text
