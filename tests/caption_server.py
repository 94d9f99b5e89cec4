"""A real HTTP server on loopback that speaks OpenAI's chat protocol, sees the image it is sent, and can die."""

import base64
import hashlib
import io
import json
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class CaptionServer:
    """`describe(image, prompt)` gives the text, or (text, finish_reason), a dict: the message, or an int: the status.

    Tokens are counted as words.

    Attributes:
        answered: how often each (prompt, sha256 of the JPEG) was answered.
        requests: bodies and headers in the order in which they came.
        most: the most requests that were under way at once.
        before: runs when a request has come and before it is answered, with its number.
        refuse: gives the (status, body) of a request that is refused as it stands, or None.
    """

    def __init__(
        self,
        describe: Callable[[Any, str], Any],
        *,
        before: Callable[[int], None] | None = None,
        refuse: Callable[[dict[str, Any]], tuple[int, bytes] | None] = lambda body: None,
    ):
        self.describe, self.before, self.refuse = describe, before, refuse
        self.answered: Counter[tuple[str, str]] = Counter()
        self.requests: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.headers: dict[str, str] = {}
        self.most = self._now = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.answer(self, body)

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> "CaptionServer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        from PIL import Image

        with self._lock:
            self.requests.append((body, dict(handler.headers)))
            number = len(self.requests)
            self._now += 1
            self.most = max(self.most, self._now)
        if self.before is not None:
            self.before(number)
        if (refused := self.refuse(body)) is not None:
            return self._send(handler, *refused)
        image, *_, text = body["messages"][0]["content"]
        jpeg = base64.b64decode(image["image_url"]["url"].split(",", 1)[1])
        said = self.describe(Image.open(io.BytesIO(jpeg)).convert("RGB"), text["text"])
        with self._lock:
            self._now -= 1
        if said is None:  # a server that dies in the middle of a request
            handler.close_connection = True
            return
        status = said if isinstance(said, int) else 200
        words, reason = said if isinstance(said, tuple) else (said, "stop")
        message = {"role": "assistant", **(words if isinstance(words, dict) else {"content": words})}
        answer = {
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {
                "prompt_tokens": len(text["text"].split()),
                "completion_tokens": len(str(message["content"] or "").split()),
            },
        }
        if status == 200:
            with self._lock:
                self.answered[text["text"], hashlib.sha256(jpeg).hexdigest()] += 1
        payload = json.dumps(answer if status == 200 else {"error": {"message": "as told"}}).encode()
        self._send(handler, status, payload)

    def _send(self, handler: BaseHTTPRequestHandler, status: int, payload: bytes) -> None:
        handler.send_response(status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(payload)))
        handler.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # a client that was killed
            handler.wfile.write(payload)
