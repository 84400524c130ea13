"""User location (RFC 3261 section 2): who may be reached where.

`registrar` answers REGISTER, `lookup` turns an address of record or a GRUU into stages of targets, `served` says under
which key an address of record is kept. What is decided by a REGISTER stands in `ringback.sip.binding`.
"""

from ringback.server.location.lookup import Lookup
from ringback.server.location.registrar import Registrar, binding_policy
from ringback.server.location.served import Served

__all__ = ["Lookup", "Registrar", "Served", "binding_policy"]
