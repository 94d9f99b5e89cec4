"""A queue and its store enter; a web application for reviewers leaves (ASGI).

It stands on Starlette: Gradio's current releases do not resolve beside this stack's Pillow and huggingface-hub.

A reviewer opens a link with their token once; it becomes a cookie that scripts cannot read and other sites cannot send.
Nothing of a queue is shown without it, and texts reach the page as data, never as markup.
"""

import io
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError
from mella_hf.languages import get_language
from mella_hf.review.compare import Pair
from mella_hf.review.queue import ORDERS, Item, Queue, image_bytes
from mella_hf.review.store import CHOICES, VERDICTS, Decision, ReviewStore

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

COOKIE = "mella_review"
MAX_BODY = 1_000_000  # bytes of a decision; the longest text that a sample may hold is 1 MB
REASONS = (
    "Says something else than the English",
    "Not fluent, no speaker would say it so",
    "Wrong language or script",
    "Something is missing or added",
    "Does not fit the image",
    "Offensive or unsafe",
)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self' https://huggingface.co",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_ASSETS = {"review.js": "text/javascript", "review.css": "text/css"}


class Review:
    """What the application answers with.

    Args:
        queue: the samples and what was decided.
        store: where decisions go.
        pairs: for a blind comparison, the answers by sample; the queue then holds just their samples.
    """

    def __init__(self, queue: Queue, store: ReviewStore, pairs: list[Pair] | None = None):
        self.queue, self.store = queue, store
        self.pairs = {pair.item.key: pair for pair in pairs} if pairs is not None else None

    def page_settings(self, reviewer: str) -> dict[str, Any]:
        """What the page needs once."""
        mode = "judge" if self.pairs is None else "compare"
        return {"reviewer": reviewer, "mode": mode, "orders": ORDERS, "reasons": REASONS}

    def progress(self, reviewer: str) -> dict[str, int]:
        """How many samples there are, how many are decided, and by this reviewer; agreement is for `--status`."""
        mine = sum(reviewer in given for given in self.queue.given.values())
        total = len(self.queue.items)
        return {
            "samples": total,
            "done": total - self.queue.progress["open"] if self.pairs is None else mine,
            "mine": mine,
        }

    def view(self, item: Item, reviewer: str) -> dict[str, Any]:
        """A sample as the page shows it."""
        language = get_language(item.language)
        shown = {
            "id": item.id,
            "language": item.language,
            "language_name": language.name,
            "direction": "rtl" if language.rtl else "ltr",
            "image": f"image/{item.language}/{item.id}",
            "english": item.caption_en,
            "score": item.qe_score,
            "translator": item.translator,
        }
        if self.pairs is None:
            return {**shown, "text": item.text, "earlier": self._earlier(item, reviewer)}
        pair = self.pairs[item.key]
        left, right = (pair.second, pair.first) if pair.swapped(reviewer) else (pair.first, pair.second)
        # No English and no score here: they would tell the answers apart.
        return {**shown, "english": None, "score": None, "prompt": pair.prompt, "left": left, "right": right}

    def _earlier(self, item: Item, reviewer: str) -> dict[str, Any] | None:
        decision = self.queue.given[item.key].get(reviewer)
        return {"action": decision.action, "text": decision.text, "reason": decision.reason} if decision else None

    def decide(self, body: dict[str, Any], reviewer: str) -> None:
        """Store a decision that the page sent. Raises MellaError when it is none."""
        key = (str(body.get("id")), str(body.get("language")))
        item = self.queue.items.get(key)
        if item is None:
            raise MellaError(f"The sample {key[0]} is not in this queue; load the page again.")
        action, text, reason = body.get("action"), body.get("text"), body.get("reason")
        if not all(value is None or isinstance(value, str) for value in (action, text, reason)) or action is None:
            raise MellaError("A decision has the strings action, text and reason.")
        allowed = (*VERDICTS, "skip") if self.pairs is None else ("left", "right", "tie", "skip")
        if action not in allowed:
            raise MellaError(f"Unknown action {action!r}; choose among {', '.join(allowed)}.")
        if self.pairs is not None and action in ("left", "right"):
            action = CHOICES[(action == "right") != self.pairs[key].swapped(reviewer)]
        decision = Decision(
            sample=item.id, language=item.language, reviewer=reviewer, action=action, shown=self.queue.shown_hash(item),
            text=text if action == "edit" else None, reason=reason if action == "reject" else None,
        )  # fmt: skip
        self.store.add([decision])
        self.queue.take(decision)


def build_app(review: Review) -> "Starlette":
    """The ASGI application: page, data, images, decisions."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
    from starlette.routing import Route

    templates = files("mella_hf.review").joinpath("templates")

    def reviewer_of(request: "Request") -> str:
        name = review.store.who(request.cookies.get(COOKIE, ""))
        if name is None:
            raise HTTPException(401, "Open the link with your token first; whoever runs this review can give you one.")
        return name

    async def page(request: "Request") -> "Response":
        token = request.query_params.get("token")
        if token is not None and review.store.who(token) is not None:
            response: Response = RedirectResponse(request.url_for("page").path, 303)
            secure = request.url.scheme == "https"
            response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, max_age=90 * 24 * 3600)
            return response
        known = review.store.who(request.cookies.get(COOKIE, "")) is not None and token is None
        name = "review.html" if known else "stranger.html"
        return HTMLResponse(templates.joinpath(name).read_text("utf-8"), 200 if known else 401)

    async def asset(request: "Request") -> "Response":
        name = request.path_params["name"]
        if name not in _ASSETS:
            raise HTTPException(404, "There is no such file.")
        return Response(templates.joinpath(name).read_text("utf-8"), media_type=_ASSETS[name])

    async def settings(request: "Request") -> "Response":
        return JSONResponse(review.page_settings(reviewer_of(request)))

    async def following(request: "Request") -> "Response":
        reviewer = reviewer_of(request)
        item = review.queue.next(reviewer, request.query_params.get("order", "worst"))
        return JSONResponse({"sample": review.view(item, reviewer) if item else None, **review.progress(reviewer)})

    async def back(request: "Request") -> "Response":
        reviewer = reviewer_of(request)
        mine = [d for d in review.store.standing() if d.reviewer == reviewer]
        keys = [(d.sample, d.language) for d in mine if (d.sample, d.language) in review.queue.items]
        before = request.query_params.get("before")
        ids = [sample for sample, _ in keys]
        place = ids.index(before) if before in ids else len(keys)
        if place == 0:
            raise HTTPException(404, "There is no earlier decision of yours.")
        return JSONResponse({"sample": review.view(review.queue.items[keys[place - 1]], reviewer)})

    async def decide(request: "Request") -> "Response":
        reviewer = reviewer_of(request)
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            raise HTTPException(415, "Send the decision as application/json.")
        try:
            body = json.loads(await _body(request))
        except ValueError as error:
            raise HTTPException(400, f"The decision is no JSON: {error}") from error
        if not isinstance(body, dict):
            raise HTTPException(400, "The decision is no JSON object.")
        review.decide(body, reviewer)
        return JSONResponse({"saved": True})

    async def image(request: "Request") -> "Response":
        reviewer_of(request)
        item = review.queue.items.get((request.path_params["sample"], request.path_params["language"]))
        if item is None:
            raise HTTPException(404, "There is no such image.")
        return Response(*_picture(image_bytes(item)))

    async def refused(request: "Request", error: Exception) -> "Response":
        code = error.status_code if isinstance(error, HTTPException) else 400
        return JSONResponse({"error": error.detail if isinstance(error, HTTPException) else str(error)}, code)

    app = Starlette(
        routes=[
            Route("/", page, name="page"),
            Route("/api/settings", settings),
            Route("/api/next", following),
            Route("/api/back", back),
            Route("/api/decisions", decide, methods=["POST"]),
            Route("/image/{language}/{sample}", image),
            Route("/{name}", asset),
        ],
        exception_handlers={HTTPException: refused, MellaError: refused},
    )
    app.add_middleware(_SafeHeaders)
    return app


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


async def _body(request: "Request") -> bytes:
    """The body of a request, as far as it is not too large."""
    from starlette.exceptions import HTTPException

    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"The decision is larger than {MAX_BODY:,} bytes.")
    return body


def _picture(data: bytes) -> tuple[bytes, int, None, str]:
    """An answer with the image: as it is where browsers show its format, else as PNG."""
    from PIL import Image

    from mella_hf.dataset.images import guarded, open_image

    with guarded(), Image.open(io.BytesIO(data)) as image:
        kind = image.format
    if kind in ("JPEG", "PNG", "WEBP"):
        return data, 200, None, f"image/{kind.lower()}"
    out = io.BytesIO()
    open_image(data).save(out, "PNG")
    return out.getvalue(), 200, None, "image/png"
