"""Which pairs there are, which is checked next, and that there are never too many."""

from ringback.media.candidates import HOST, RELAYED, SERVER_REFLEXIVE, LocalCandidate, candidate_priority
from ringback.media.checklist import MOST_PAIRS, Checklist, Pair
from ringback.sdp.ice import Candidate


def local(host: str, component: int = 1, kind: str = HOST, base: str = "", name: str = "") -> LocalCandidate:
    base = base or host
    return LocalCandidate(
        component, kind, (host, component), (base, component), candidate_priority(kind, component), name or base
    )


def remote(host: str, component: int = 1, kind: str = HOST, name: str = "") -> Candidate:
    return Candidate(name or host, component, "udp", candidate_priority(kind, component), host, component, kind)


def names(pairs: list[Pair]) -> list[tuple[str, str, int, str]]:
    return [(pair.local.address[0], pair.remote.address, pair.component, pair.state) for pair in pairs]


def test_pairs_of_one_component_and_family_best_first() -> None:
    checks = Checklist()
    checks.form(
        [local("10.0.0.1"), local("10.0.0.1", 2), local("2001:db8::1"), local("192.0.2.9", kind=RELAYED)],
        [remote("10.0.0.2"), remote("10.0.0.2", 2), remote("2001:db8::2")],
        True,
    )
    assert [(pair.local.address[0], pair.remote.address, pair.component) for pair in checks.pairs] == [
        ("10.0.0.1", "10.0.0.2", 1),
        ("2001:db8::1", "2001:db8::2", 1),
        ("10.0.0.1", "10.0.0.2", 2),
        ("192.0.2.9", "10.0.0.2", 1),
    ]


def test_a_reflexive_candidate_of_ours_is_stood_for_by_its_base() -> None:
    checks = Checklist()
    checks.form(
        [local("10.0.0.1"), local("192.0.2.1", kind=SERVER_REFLEXIVE, base="10.0.0.1")], [remote("10.0.0.2")], True
    )
    assert names(checks.pairs) == [("10.0.0.1", "10.0.0.2", 1, "waiting")]


def test_one_pair_of_each_foundation_is_unfrozen_of_the_first_component() -> None:
    """Section 6.1.2.6, and 7.2.5.3.3 when it has succeeded."""
    checks = Checklist()
    checks.form([local("10.0.0.1", 2), local("10.0.0.1")], [remote("10.0.0.2"), remote("10.0.0.2", 2)], True)
    assert names(checks.pairs) == [("10.0.0.1", "10.0.0.2", 1, "waiting"), ("10.0.0.1", "10.0.0.2", 2, "frozen")]
    first = checks.next()
    assert first is checks.pairs[0]
    assert first.state == "checking"
    # The other waits for it.
    assert checks.busy
    assert checks.next() is None
    checks.succeeded(first)
    assert names(checks.pairs) == [("10.0.0.1", "10.0.0.2", 1, "succeeded"), ("10.0.0.1", "10.0.0.2", 2, "waiting")]
    assert checks.next() is checks.pairs[1]
    assert not checks.busy


def test_a_pair_that_has_failed_lets_the_next_of_its_foundation_try() -> None:
    checks = Checklist()
    checks.form([local("10.0.0.1"), local("10.0.0.1", 2)], [remote("10.0.0.2"), remote("10.0.0.2", 2)], True)
    first = checks.next()
    assert first is not None
    first.state = "failed"
    assert checks.next() is checks.pairs[1]
    assert checks.unchecked == 1


def test_triggered_pairs_come_before_the_others_in_their_order() -> None:
    checks = Checklist()
    checks.form([local("10.0.0.1")], [remote(f"10.0.0.{number}", name=str(number)) for number in range(2, 6)], True)
    a, b, c, d = checks.pairs
    checks.trigger(c)
    checks.trigger(d)
    checks.trigger(c)
    checks.trigger(b, first=True)
    assert [checks.next() for _ in range(5)] == [b, c, d, a, None]


def test_a_triggered_pair_that_is_gone_or_done_is_passed_over() -> None:
    checks = Checklist()
    checks.form([local("10.0.0.1")], [remote("10.0.0.2"), remote("10.0.0.3")], True)
    gone, done = checks.pairs
    checks.trigger(gone)
    checks.trigger(done)
    checks.pairs.remove(gone)
    done.state = "succeeded"
    assert checks.next() is None


def test_when_one_is_nominated_the_others_of_its_component_are_dropped() -> None:
    checks = Checklist()
    checks.form(
        [local("10.0.0.1"), local("10.0.0.1", 2)],
        [remote("10.0.0.2"), remote("10.0.0.3"), remote("10.0.0.4"), remote("10.0.0.2", 2)],
        True,
    )
    valid, told, *_ = checks.of(1)
    checks.succeeded(valid)
    told.nominate = True
    checks.conclude(1)
    assert checks.of(1) == [valid, told]
    assert len(checks.of(2)) == 1


def test_priorities_follow_the_role() -> None:
    ours, theirs = local("10.0.0.1"), remote("10.0.0.2", kind=SERVER_REFLEXIVE)
    checks = Checklist()
    checks.form([ours], [theirs], True)
    assert checks.pairs[0].priority == (theirs.priority << 32) + 2 * ours.priority + 1
    checks.rank(False)
    assert checks.pairs[0].priority == (theirs.priority << 32) + 2 * ours.priority


def test_pairs_are_bounded_and_the_worst_go_first() -> None:
    checks = Checklist()
    checks.form(
        [local(f"10.0.0.{number}") for number in range(1, 21)],
        [remote(f"10.0.1.{number}", kind=HOST if number < 6 else RELAYED) for number in range(1, 21)],
        True,
    )
    assert len(checks.pairs) == MOST_PAIRS
    assert all(pair.remote.kind == HOST for pair in checks.pairs)
    checks.pairs[0].valid = True
    for pair in checks.pairs:
        pair.state = "checking"
    assert checks.add(local("10.0.0.1"), remote("10.0.9.1", kind=RELAYED), True) is None
    assert len(checks.pairs) == MOST_PAIRS
    checks.pairs[-1].state = "failed"
    added = checks.add(local("10.0.0.1"), remote("10.0.9.1"), True)
    assert added in checks.pairs
    assert len(checks.pairs) == MOST_PAIRS


def test_forming_again_adds_what_is_new_and_keeps_what_is_known() -> None:
    checks = Checklist()
    checks.form([local("10.0.0.1")], [remote("10.0.0.2")], True)
    [pair] = checks.pairs
    pair.state = "succeeded"
    checks.form([local("10.0.0.1")], [remote("10.0.0.2"), remote("10.0.0.3")], True)
    assert len(checks.pairs) == 2
    assert checks.find(("10.0.0.1", 1), ("10.0.0.2", 1)) is pair
    assert checks.find(("10.0.0.1", 1), ("10.0.0.9", 1)) is None
