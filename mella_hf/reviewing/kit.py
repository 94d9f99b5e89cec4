"""Shared parts of the review and try pages: JSON answers, security headers, errors in one line."""

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mella_hf.errors import MellaError

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self' https://huggingface.co",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Json(JSONResponse):
    """JSON in ASCII, so that half of a surrogate pair in a text, which UTF-8 cannot hold, reaches the page too."""

    def render(self, content: Any) -> bytes:
        """The body of the answer."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class SafeHeaders:
    """Adds the headers that keep the page to itself to every answer."""

    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as the application does, with the headers added."""

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


async def read_object(request: Request, most: int, what: str) -> dict[str, Any]:
    """The JSON object in the body of a request. Another site's page cannot send one without being asked first.

    Args:
        most: largest size in bytes.
        what: what the object is, for errors.

    Raises:
        HTTPException: if it is too large, or no JSON object.
    """
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        raise HTTPException(415, f"Send the {what} as application/json.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise HTTPException(413, f"The {what} is larger than {most:,} bytes.")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"The {what} is no JSON ({type(error).__name__}); load the page again.") from error
    if not isinstance(found, dict):
        raise HTTPException(400, f"The {what} is not a JSON object.")
    return found


async def _refused(request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 400
    return Json({"error": error.detail if isinstance(error, HTTPException) else str(error)}, code)


async def _failed(request: Request, error: Exception) -> Response:
    """Something that nobody foresaw, such as a full disk: the page shows it, and keeps what its user did."""
    return Json({"error": f"The server could not do this ({type(error).__name__}: {error}). Tell who runs it."}, 500)


HANDLERS: dict[Any, Any] = {HTTPException: _refused, MellaError: _refused, Exception: _failed}
