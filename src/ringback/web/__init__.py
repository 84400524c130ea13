"""What the server offers over HTTP."""

from ringback.web.app import make_app
from ringback.web.serving import WebServer

__all__ = ["WebServer", "make_app"]
