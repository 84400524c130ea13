"""The HTTP application: /metrics for Prometheus, /healthz for whoever has to know whether the server serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ringback.server.metrics import CONTENT_TYPE, Metrics

__all__ = ["Health", "make_app"]

#: Whether the server takes new calls, and what there is to say about it.
Health = Callable[[], tuple[bool, Mapping[str, Any]]]


def make_app(metrics: Metrics, health: Health) -> Starlette:
    """The application over one server's metrics and health."""

    async def show_metrics(request: Request) -> Response:
        return Response(await metrics.render(), media_type=CONTENT_TYPE)

    async def show_health(request: Request) -> Response:
        healthy, details = health()
        return JSONResponse(dict(details), status_code=200 if healthy else 503)

    return Starlette(
        routes=[
            Route("/metrics", show_metrics, methods=["GET"]),
            Route("/healthz", show_health, methods=["GET"]),
        ]
    )
