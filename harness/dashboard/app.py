"""The web application: one route per page, the headers of every answer, and errors as pages with a sentence."""

from __future__ import annotations

import base64
import functools
import hashlib
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.dashboard.access import Access, Doorkeeper, host_is_ours
from harness.dashboard.content import (
    NIGHT_FILE,
    ONE_DEVICE,
    ONE_NIGHT,
    ONE_RUN,
    ONE_SERIES,
    Content,
    Document,
    Place,
    Query,
    render,
)
from harness.dashboard.pages.devices import device_list, one_device
from harness.dashboard.pages.farm import farm
from harness.dashboard.pages.nights import night_document, night_list, one_night
from harness.dashboard.pages.overview import overview
from harness.dashboard.pages.runs import one_run, run_list
from harness.dashboard.pages.series import one_series, series_list
from harness.dashboard.site import Site
from harness.errors import MissingPackageError, PhonebenchError, SignatureError, UsageError
from harness.report.pages import page_fragments

try:
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, PlainTextResponse, Response
    from starlette.routing import Route
except ModuleNotFoundError as missing:
    raise MissingPackageError(package="starlette", extra="farm", purpose="phonebench dashboard") from missing

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_LOG = logging.getLogger(__name__)

PageFunction = Callable[[Site, Query], Content | Document]

PAGES: dict[str, PageFunction] = {
    Place.OVERVIEW: overview,
    Place.NIGHTS: night_list,
    ONE_NIGHT: one_night,
    NIGHT_FILE: night_document,
    Place.SERIES: series_list,
    ONE_SERIES: one_series,
    Place.DEVICES: device_list,
    ONE_DEVICE: one_device,
    Place.FARM: farm,
    Place.RUNS: run_list,
    ONE_RUN: one_run,
}

_HEADERS = {
    # What a page shows changes, and it may not be for the next user of the computer.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; script-src {scripts}"
)
# A stored report has scripts of its own, of whichever version wrote it. In a sandbox they cannot reach other pages.
_DOCUMENT_POLICY = _POLICY.format(scripts="'unsafe-inline'") + "; sandbox allow-scripts allow-downloads allow-popups"
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def make_app(site: Site, access: Access) -> ASGIApp:
    """Return the application for `uvicorn`, or for any other ASGI server."""
    routes = [Route(path, _endpoint(site, page), methods=["GET"]) for path, page in PAGES.items()]
    routes.append(Route("/favicon.ico", _no_icon, methods=["GET"]))
    handlers: dict[Any, Any] = {HTTPException: _http_error, Exception: _bug}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), access)


class Guard:
    """Lets a request in, or answers it itself: a foreign name of this computer, a wrong login, a wait."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access
        self._door = Doorkeeper(access.logins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        await (self._refusal(request) or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        if self._access.local and not host_is_ours(request.headers.get("host", "")):
            return _words(421, "This address does not name this computer: use localhost.")
        address = request.client.host if request.client else ""
        match self._door.answer(request.headers, address):
            case 200:
                return None
            case 429:
                return _words(429, "Too many wrong logins: wait a minute.", {"Retry-After": "60"})
            case status:
                challenge = {"WWW-Authenticate": 'Basic realm="phonebench", charset="UTF-8"'}
                return _words(status, "This page needs a login.", challenge)


def _endpoint(site: Site, page: PageFunction) -> Callable[[Request], Response]:
    # Starlette runs a plain function in a thread, so that a slow page delays no other.
    def answer(request: Request) -> Response:
        try:
            made = page(site, request.query_params)
        except PhonebenchError as error:
            return _sentence(_status(error), str(error))
        return _document(made) if isinstance(made, Document) else _page(render(_marked(site, made)))

    return answer


def _status(error: PhonebenchError) -> int:
    """Return 404 for what does not exist, 403 for what is not signed, and 503 for what may be readable later."""
    if isinstance(error, SignatureError):
        return 403
    return 404 if isinstance(error, UsageError) else 503


def _marked(site: Site, content: Content) -> Content:
    """Say of pages without runs that no signature covers them, where signatures are required."""
    if site.trusted is None or content.place in (Place.OVERVIEW, Place.RUNS):
        return content
    return replace(content, lead=" · ".join(filter(None, (content.lead, "no signature covers this page"))))


def _page(html: str, status: int = 200) -> Response:
    return HTMLResponse(html, status_code=status, headers=_HEADERS | {"Content-Security-Policy": _page_policy()})


@functools.cache
def _page_policy() -> str:
    """The policy of our own pages: it allows the scripts of a page without content, so none that content brings in."""
    empty = render(Content(place=Place.OVERVIEW, title="", lead="", fragments=()))
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in _SCRIPT.findall(empty)]
    return _POLICY.format(scripts=" ".join(f"'sha256-{digest}'" for digest in digests) or "'none'")


def _document(document: Document) -> Response:
    return HTMLResponse(document.html, headers=_HEADERS | {"Content-Security-Policy": _DOCUMENT_POLICY})


def _sentence(status: int, words: str) -> Response:
    text = f"{words[:1].upper()}{words[1:]}."
    content = Content(
        place=Place.OVERVIEW,
        title="Nothing to show here" if status < 500 else "This page cannot be shown now",
        lead="",
        fragments=page_fragments(about="error", answer=[text]),
    )
    return _page(render(content), status)


def _words(status: int, words: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{words}\n", status_code=status, headers=_HEADERS | (headers or {}))


def _no_icon(_: Request) -> Response:
    # A report in its sandbox has no origin, so its icon comes from another one.
    return Response(status_code=204, headers=_HEADERS | {"Cross-Origin-Resource-Policy": "cross-origin"})


def _http_error(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        return _words(405, "The dashboard only shows: use GET.", {"Allow": "GET, HEAD"})
    return _sentence(error.status_code, f"there is no page {request.url.path!r}")


def _bug(request: Request, error: Exception) -> Response:
    _LOG.error("page %s failed", request.url.path, exc_info=error)
    return _sentence(500, f"a bug in phonebench: {type(error).__name__}; the log of the dashboard says more")
