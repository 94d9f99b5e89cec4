"""The page of `mella try --serve`: put questions about an image to base and adapter, side by side.

It asks for no password, so it listens on this machine only unless told otherwise.
"""

import base64
import binascii
import threading
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from mella_hf.evaluation.trying import SideBySide, default_questions, read_photo
from mella_hf.html.page import environment, text_attributes
from mella_hf.languages import Language
from mella_hf.reviewing.kit import HANDLERS, Json, SafeHeaders, read_object

MAX_BODY = 30_000_000  # bytes of a question with its image, which is a third larger in base64
LONGEST_QUESTION = 4_000  # characters
_ASSETS = {"try.js": "text/javascript", "try.css": "text/css"}
_TEMPLATES = files("mella_hf.html").joinpath("templates")


def build_app(pair: SideBySide, language: Language, max_new_tokens: int, hosts: tuple[str, ...] | None) -> Starlette:
    """The ASGI application: the page, and answers to questions about an image.

    Args:
        hosts: names by which the page may be asked for; None for any. A page of another site that a browser takes
            to this address under its own name is refused so.
    """
    answers = _Answers(pair, language, max_new_tokens)
    app = Starlette(
        routes=[
            Route("/", answers.page),
            Route("/api/ask", answers.ask, methods=["POST"]),
            Route("/{name}", answers.asset),
        ],
        exception_handlers=HANDLERS,
    )
    app.add_middleware(SafeHeaders)
    if hosts is not None:
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    return app


class _Answers:
    """Answers to each kind of request; the model answers one question at a time."""

    def __init__(self, pair: SideBySide, language: Language, max_new_tokens: int):
        self.pair, self.language, self.limit = pair, language, max_new_tokens
        self.model = threading.Lock()

    async def page(self, request: Request) -> Response:
        template = environment().get_template("try.html.j2")
        questions = [question for question, _ in default_questions(self.language)]
        attributes = text_attributes(questions[0], self.language)
        return HTMLResponse(
            template.render(pair=self.pair, language=self.language, questions=questions, attributes=attributes)
        )

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _ASSETS:
            raise HTTPException(404, "There is no such file.")
        return Response(_TEMPLATES.joinpath(name).read_text("utf-8"), media_type=_ASSETS[name])

    async def ask(self, request: Request) -> Response:
        asked = await read_object(request, MAX_BODY, "question")
        question, image = asked.get("question"), asked.get("image")
        if not isinstance(question, str) or not question.strip() or len(question) > LONGEST_QUESTION:
            raise HTTPException(400, f"Write a question of at most {LONGEST_QUESTION:,} characters.")
        if not isinstance(image, str) or not image:
            raise HTTPException(400, "Choose an image first.")
        return Json({"answers": await run_in_threadpool(self._answer, question.strip(), image)})

    def _answer(self, question: str, encoded: str) -> dict[str, Any]:
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise HTTPException(400, "The image is not in base64; load the page again.") from error
        photo = read_photo(data, "The file")
        with self.model:
            found = self.pair.ask(photo, question, self.limit)
        return {
            name: {**answer, "attributes": text_attributes(answer["prediction"], self.language)}
            for name, answer in found.items()
        }
