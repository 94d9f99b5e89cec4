"""The review page as an ASGI web application.

It uses Starlette, because current releases of Gradio cannot be installed beside this stack's Pillow and
huggingface-hub.

A reviewer opens a link with their token once. The token becomes a cookie that scripts cannot read and other sites
cannot send. Without it nothing of a queue is shown. Texts reach the page as data, never as markup.
"""

import io
from importlib.resources import files

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from mella_hf.reviewing.kit import HANDLERS, Json, SafeHeaders, read_object
from mella_hf.reviewing.queue import Item, image_bytes
from mella_hf.reviewing.session import Review

COOKIE = "mella_review"
COOKIE_SECONDS = 90 * 24 * 3600
MAX_BODY = 1_000_000  # bytes of a decision; the longest text that a sample may hold is 1 MB
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
        exception_handlers=HANDLERS,
    )
    app.add_middleware(SafeHeaders)
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
        return Json(self.review.page_settings(self._reviewer(request)))

    async def following(self, request: Request) -> Response:
        review, reviewer = self.review, self._reviewer(request)
        review.queue.follow(review.store)  # another server may have added to it
        item = review.queue.next(reviewer, request.query_params.get("order", "worst"))
        return Json({"sample": review.view(item, reviewer) if item else None, **review.progress(reviewer)})

    async def back(self, request: Request) -> Response:
        reviewer = self._reviewer(request)
        asked = request.query_params
        item = self.review.decided_before(asked.get("before"), asked.get("language"), reviewer)
        if item is None:
            raise HTTPException(404, "There is no earlier decision of yours.")
        return Json({"sample": self.review.view(item, reviewer)})

    async def decide(self, request: Request) -> Response:
        reviewer = self._reviewer(request)
        self.review.decide(await read_object(request, MAX_BODY, "decision"), reviewer)
        return Json({"saved": True})

    async def image(self, request: Request) -> Response:
        self._reviewer(request)
        item = self.review.queue.items.get((request.path_params["sample"], request.path_params["language"]))
        if item is None:
            raise HTTPException(404, "There is no such image.")
        return await run_in_threadpool(_picture_of, item)


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
