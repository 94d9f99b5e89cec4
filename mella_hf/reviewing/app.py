"""The review page as an ASGI web application.

It uses Starlette, because current releases of Gradio cannot be installed beside this stack's Pillow and
huggingface-hub.

A reviewer opens a link with their token once. The token becomes a cookie that scripts cannot read and other sites
cannot send. Without it nothing of a queue is shown. Texts reach the page as data, never as markup.
"""

import io
import json
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from mella_hf.errors import MellaError
from mella_hf.reviewing.queue import Item, image_bytes
from mella_hf.reviewing.session import Review

COOKIE = "mella_review"
COOKIE_SECONDS = 90 * 24 * 3600
MAX_BODY = 1_000_000  # bytes of a decision; the longest text that a sample may hold is 1 MB
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self' https://huggingface.co",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_ASSETS = {"review.js": "text/javascript", "review.css": "text/css"}
_TEMPLATES = files("mella_hf.reviewing").joinpath("templates")


def build_app(review: Review) -> Starlette:
    """The ASGI application: page, data, images, decisions."""
    answers = _Answers(review)
    app = Starlette(
        routes=[
            Route("/", answers.page, name="page"),
            Route("/api/settings", answers.settings),
            Route("/api/next", answers.following),
            Route("/api/back", answers.back),
            Route("/api/decisions", answers.decide, methods=["POST"]),
            Route("/image/{language}/{sample:path}", answers.image),
            Route("/{name}", answers.asset),
        ],
        exception_handlers={HTTPException: _refused, MellaError: _refused, Exception: _failed},
    )
    app.add_middleware(_SafeHeaders)
    return app


class _Answers:
    """Answers to each kind of request; without a valid token, only that a link is needed."""

    def __init__(self, review: Review):
        self.review = review

    def _reviewer(self, request: Request) -> str:
        name = self.review.store.who(request.cookies.get(COOKIE, ""))
        if name is None:
            raise HTTPException(401, "Open the link with your token first; whoever runs this review can give you one.")
        return name

    async def page(self, request: Request) -> Response:
        token = request.query_params.get("token")
        if token is not None and self.review.store.who(token) is not None:
            response: Response = RedirectResponse(request.url_for("page").path, 303)
            secure = request.url.scheme == "https"
            response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, max_age=COOKIE_SECONDS)
            return response
        known = self.review.store.who(request.cookies.get(COOKIE, "")) is not None and token is None
        name = "review.html" if known else "stranger.html"
        return HTMLResponse(_TEMPLATES.joinpath(name).read_text("utf-8"), 200 if known else 401)

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _ASSETS:
            raise HTTPException(404, "There is no such file.")
        return Response(_TEMPLATES.joinpath(name).read_text("utf-8"), media_type=_ASSETS[name])

    async def settings(self, request: Request) -> Response:
        return _Json(self.review.page_settings(self._reviewer(request)))

    async def following(self, request: Request) -> Response:
        review, reviewer = self.review, self._reviewer(request)
        review.queue.follow(review.store)  # another server may have added to it
        item = review.queue.next(reviewer, request.query_params.get("order", "worst"))
        return _Json({"sample": review.view(item, reviewer) if item else None, **review.progress(reviewer)})

    async def back(self, request: Request) -> Response:
        reviewer = self._reviewer(request)
        asked = request.query_params
        item = self.review.decided_before(asked.get("before"), asked.get("language"), reviewer)
        if item is None:
            raise HTTPException(404, "There is no earlier decision of yours.")
        return _Json({"sample": self.review.view(item, reviewer)})

    async def decide(self, request: Request) -> Response:
        reviewer = self._reviewer(request)
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            raise HTTPException(415, "Send the decision as application/json.")
        try:
            body = json.loads(await _body(request))
        except (ValueError, RecursionError) as error:
            raise HTTPException(
                400, f"The decision is no JSON ({type(error).__name__}); load the page again."
            ) from error
        if not isinstance(body, dict):
            raise HTTPException(400, "The decision is not a JSON object.")
        self.review.decide(body, reviewer)
        return _Json({"saved": True})

    async def image(self, request: Request) -> Response:
        self._reviewer(request)
        item = self.review.queue.items.get((request.path_params["sample"], request.path_params["language"]))
        if item is None:
            raise HTTPException(404, "There is no such image.")
        return await run_in_threadpool(_picture_of, item)


async def _refused(request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 400
    return _Json({"error": error.detail if isinstance(error, HTTPException) else str(error)}, code)


async def _failed(request: Request, error: Exception) -> Response:
    """Something that nobody foresaw, such as a full disk: the page shows it, and keeps what the reviewer did."""
    return _Json({"error": f"The server could not do this ({type(error).__name__}: {error}). Tell who runs it."}, 500)


class _Json(JSONResponse):
    """JSON in ASCII, so that half of a surrogate pair in a text, which UTF-8 cannot hold, reaches the page too."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class _SafeHeaders:
    """Adds the headers that keep the page to itself to every answer."""

    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                message["headers"] += [
                    (name.lower().encode(), value.encode())
                    for name, value in _HEADERS.items()
                    if name.lower().encode() not in known
                ]
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


async def _body(request: Request) -> bytes:
    """Read the body of a request, up to the size limit."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"The decision is larger than {MAX_BODY:,} bytes.")
    return body


def _picture_of(item: Item) -> Response:
    """The image of a sample: as it is where browsers show its format, else as PNG."""
    from mella_hf.images.opening import open_header, open_image, plain_format

    data = image_bytes(item)
    kind = plain_format(open_header(data))
    if kind in ("JPEG", "PNG", "WEBP"):
        return Response(data, media_type=f"image/{kind.lower()}")
    out = io.BytesIO()
    open_image(data).save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png")
