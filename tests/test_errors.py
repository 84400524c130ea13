"""The exceptions: their families, what they carry, how they read, and that a worker process gets them back whole."""

import pickle

import pytest

from ringback.errors import (
    ConfigurationError,
    LocalError,
    ParseError,
    RemoteError,
    RingbackError,
    StoreConflict,
    StoreError,
)


@pytest.mark.parametrize(
    ("error", "parents"),
    [
        (LocalError, {RingbackError}),
        (ConfigurationError, {LocalError, RingbackError}),
        (RemoteError, {RingbackError}),
        (ParseError, {RemoteError, RingbackError}),
        (StoreError, {RingbackError}),
        (StoreConflict, {StoreError, RingbackError}),
    ],
)
def test_the_families(error: type[Exception], parents: set[type[Exception]]) -> None:
    assert set(error.__mro__) - {error, Exception, BaseException, object} == parents


def test_a_remote_error_carries_status_and_reason() -> None:
    error = RemoteError(486, "Busy Here")
    assert (error.status, error.reason, str(error)) == (486, "Busy Here", "486 Busy Here")
    assert str(RemoteError(486)) == "486"


def test_a_parse_error_is_a_bad_request_unless_it_says_otherwise() -> None:
    assert ParseError("no CSeq").status == 400
    error = ParseError("SIP/3.0 in the first line", 505)
    assert (error.status, error.reason, str(error)) == (505, "SIP/3.0 in the first line", "SIP/3.0 in the first line")


@pytest.mark.parametrize("error", [RemoteError(404, "Not Found"), ParseError("no Via"), ParseError("too long", 513)])
def test_a_remote_error_survives_pickling(error: RemoteError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (copy.status, copy.reason, str(copy)) == (error.status, error.reason, str(error))
