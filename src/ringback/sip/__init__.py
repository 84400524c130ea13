"""The protocol, pure: bytes and times come in, bytes and events go out (RFC 3261 and its extensions)."""
