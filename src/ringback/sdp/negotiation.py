"""Offer and answer (RFC 3264) in one place: what `ringback.sdp` negotiates with.

offer(local, origin)                     our offer
answer(their_offer, local, origin)       the answer to theirs, and what it agrees on
agreed(our_offer, their_answer, local)   what their answer agrees on
OfferAnswer(origin)                      the same for a whole session, with its memory
"""

from ringback.sdp.answering import answer
from ringback.sdp.exchange import OfferAnswer, agreed
from ringback.sdp.formats import Codec
from ringback.sdp.ice import Candidate, IceParameters
from ringback.sdp.offering import capabilities, free_slot, offer
from ringback.sdp.payload_types import PayloadTypes
from ringback.sdp.security import SUITES, Crypto, Fingerprint
from ringback.sdp.streams import Agreed, AgreedCrypto, LocalStream, Policy

__all__ = [
    "SUITES",
    "Agreed",
    "AgreedCrypto",
    "Candidate",
    "Codec",
    "Crypto",
    "Fingerprint",
    "IceParameters",
    "LocalStream",
    "OfferAnswer",
    "PayloadTypes",
    "Policy",
    "agreed",
    "answer",
    "capabilities",
    "free_slot",
    "offer",
]
