"""A real HTTP server on loopback that translates as a chat model does: a stand-in for one."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ChatTranslationServer:
    """`reply(text)` gives the answer to a user turn: a text, (text, finish_reason) or (status, body as bytes).

    Attributes:
        bodies: the requests, in the order in which they came; `keys` their Authorization headers.
    """

    def __init__(self, reply: Callable[[str], Any]) -> None:
        self.reply = reply
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.bodies.append(body)
                server.keys.append(self.headers.get("Authorization"))
                content = body["messages"][-1]["content"]
                said = server.reply(content if isinstance(content, str) else content[0]["text"])
                if isinstance(said, tuple) and isinstance(said[0], int):
                    return self.answer(*said)
                text, reason = said if isinstance(said, tuple) else (said, "stop")
                choice = {"message": {"role": "assistant", "content": text}, "finish_reason": reason}
                self.answer(200, json.dumps({"choices": [choice]}).encode())

            def do_GET(self) -> None:
                self.answer(200, b'{"data": []}')

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> "ChatTranslationServer":
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()
