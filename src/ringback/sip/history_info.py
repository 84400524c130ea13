"""History-Info (RFC 7044): the way that a request has taken from target to target, and why.

A user agent reads it in what it receives, and writes it when it follows a 3xx: an entry for what it called at first,
the reason in that, and an entry for the contact.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import short_number, split_commas, unescape
from ringback.sip.headers import parse_name_addr
from ringback.sip.message import Message
from ringback.sip.uri import parse_uri
from ringback.sip.uri_headers import escape_header

#: Entries that are read or written.
MOST_ENTRIES: Final = 64


class Entry:
    """One target of a request.

    uri         the Request-URI with which it was sent, without headers
    index       its place in the tree of targets, such as "1.2"
    parameters  "rc", "mp" or "np" with the index that it was derived from, and others
    reason      the value of the Reason header that tells how it failed there ("SIP;cause=302"), or ""
    private     whether it asks to be hidden
    """

    __slots__ = ("index", "parameters", "private", "reason", "uri")

    def __init__(self, uri: str, index: str, parameters: dict[str, str | None] | None = None) -> None:
        self.uri: str = uri
        self.index: str = index
        self.parameters: dict[str, str | None] = parameters or {}
        self.reason: str = ""
        self.private: bool = False

    @property
    def mapped_from(self) -> str:
        """The index of the entry that named another user before ("mp"), or ""."""
        return self.parameters.get("mp") or ""

    def __str__(self) -> str:
        headers: list[str] = []
        if self.private:
            headers.append("Privacy=history")
        if self.reason and not self.uri.startswith("tel:"):
            # "since both the Reason and Privacy parameters are included in the hi-targeted-to-uri, these fields will
            # not be available in the case that the hi-targeted-to-uri is a Tel-URI".
            headers.append(f"Reason={escape_header(self.reason)}")
        text = f"<{self.uri}?{'&'.join(headers)}>" if headers else f"<{self.uri}>"
        text += f";index={self.index}"
        for name, value in self.parameters.items():
            text += f";{name}" if value is None else f";{name}={value}"
        return text


def read_history(message: Message) -> list[Entry]:
    """The entries of a message, oldest first. One that cannot be read is left out: it is only told to people."""
    entries: list[Entry] = []
    for value in message.all("history-info"):
        try:
            pieces = split_commas(value)
        except ParseError:
            continue
        for piece in pieces:
            if piece and len(entries) < MOST_ENTRIES:
                entry = _read(piece)
                if entry is not None:
                    entries.append(entry)
    return entries


def _read(value: str) -> Entry | None:
    try:
        address = parse_name_addr(value)
        headers = address.uri.headers
        parameters = dict(address.parameters)
        index = parameters.pop("index", None) or ""
        entry = Entry(address.uri.text.partition("?")[0] if headers else address.uri.text, index, parameters)
        for pair in headers.split("&"):
            name, _, content = pair.partition("=")
            if name.lower() == "reason":
                entry.reason = unescape(content)
            elif name.lower() == "privacy":
                entry.private = "history" in unescape(content).lower()
    except ParseError:
        return None
    return entry


def redirected(entries: list[Entry], target: str, reason: str, user_changes: bool = True) -> list[Entry]:
    """The entries for a request that goes on to `target` because the last one failed with `reason`.

    10.3 rule 4: "In the case of retargeting due to a specific response (e.g., 302) … the rightmost value of the
    hi-index MUST be incremented (i.e., a new branch is created)." `user_changes`: "mp" rather than "rc".
    """
    kept = entries[-(MOST_ENTRIES - 1) :]
    if not kept:
        return [Entry(plain_target(target), "1")]
    last = kept[-1]
    before = Entry(last.uri, last.index, last.parameters)
    before.private = last.private
    before.reason = last.reason or reason
    new = Entry(plain_target(target), next_index(last.index), {"mp" if user_changes else "rc": last.index})
    return [*kept[:-1], before, new]


def next_index(index: str) -> str:
    """The index of the next branch beside this one."""
    head, dot, number = index.rpartition(".")
    last = short_number(number)
    return f"{head}{dot}{last + 1}" if last >= 0 else f"{index}.1"


def plain_target(uri: str) -> str:
    """A URI without headers: those have their own meaning in an entry."""
    if "?" not in uri:
        return uri
    read = parse_uri(uri)
    return read.text.partition("?")[0] if read.headers else uri


def written(entries: list[Entry]) -> str:
    """The value of one History-Info header with all entries."""
    return ", ".join([str(entry) for entry in entries])
