"""What is wrong with a session description, or why none of what it offers can be had."""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError

__all__ = ["NOT_ACCEPTABLE_HERE", "SdpError"]

# RFC 3261 section 21.4.26: the description was understood, and cannot be had here.
NOT_ACCEPTABLE_HERE: Final = 488

# RFC 3261 section 20.43: "Miscellaneous warning".
_MISCELLANEOUS: Final = 399


class SdpError(ParseError):
    """A description that is malformed (status 400), or that nothing can be agreed on (status 488).

    `code` is the warn-code of RFC 3261 section 20.43 that says of what kind the trouble is: 304 media type, 305 media
    format, 302 transport protocol …
    """

    code: int

    def __init__(self, message: str, status: int = 400, code: int = _MISCELLANEOUS) -> None:
        super().__init__(message, status)
        self.code = code

    @property
    def warning(self) -> str:
        """The value of the Warning header that tells it; what would end its quotes is left out, long text is cut."""
        text = self.reason.replace("\\", "").replace('"', "'")
        text = "".join(character if character.isprintable() else "?" for character in text)[:120]
        return f'{self.code} ringback "{text}"'

    def __reduce__(self) -> tuple[type[SdpError], tuple[str, int, int]]:  # type: ignore[override]
        return SdpError, (self.reason, self.status, self.code)
