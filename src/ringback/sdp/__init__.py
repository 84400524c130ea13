"""Session descriptions: parsed, written and negotiated (RFC 8866, 3264). Pure: no clock, no sockets, no randomness.

Its modules:

    description   parse(octets) -> SessionDescription; .encode()
    attributes, security, ice, formats    what attributes mean
    negotiation   offer, answer, agreed, OfferAnswer
    capability    what a description says that the other side can do
"""

from ringback.sdp.description import Attribute, Bandwidth, MediaDescription, Origin, SessionDescription, parse
from ringback.sdp.errors import SdpError

__all__ = ["Attribute", "Bandwidth", "MediaDescription", "Origin", "SdpError", "SessionDescription", "parse"]
