"""Rows for the tests of the store."""

from pathlib import Path
from typing import Any

from ringback.store import BindingRow, BindingRows, SqliteStore

NOW = 1_700_000_000.0

FULL_ROW = BindingRow(
    contact="sip:alice@192.168.10.12:5060;transport=udp;ob",
    expires=NOW + 3600.25,
    q=700,
    call_id="0123456789abcdef0123456789abcdef@192.168.10.12",
    cseq=4711,
    instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>",
    reg_id=1,
    path=("<sip:edge1.example.org;lr>", "<sip:edge2.example.org;lr;ob>"),
    flow="f7Zk1qL0",
    received="udp:203.0.113.7:41234",
    parameters='methods="INVITE,ACK,BYE";+sip.message',
    user_agent="Linphone/5.2.1 (belle-sip/5.2.0)",
    gruu=3,
    updated=NOW + 0.5,
)


def row(contact: str, lasts: float = 3600.0, **others: Any) -> BindingRow:
    """A binding that ends `lasts` seconds after NOW."""
    return BindingRow(contact=contact, expires=NOW + lasts, **others)


def rows(*contacts: str) -> BindingRows:
    return tuple(row(contact) for contact in contacts)


async def open_sqlite(path: Path, **settings: Any) -> SqliteStore:
    """A store that does not wait for company, nor for the disk more than it must."""
    return await SqliteStore.open(path, **{"gathering_time": 0.0, "synchronous": "NORMAL", **settings})
