"""A real HTTP server on loopback that speaks LibreTranslate's, DeepL's, Google's and Microsoft's protocols, and fails
when told to."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Fault:
    """An answer instead of a translation; `then` runs before it is sent."""

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": "as told"}'
    drop: bool = False  # close the connection without an answer
    then: Callable[[], None] | None = None


class TranslationServer:
    """`translate(text, target)` decides the answers; `faults` maps the number of a request (from 1) to a fault.

    Attributes:
        asked: how often each (text, target) was asked for; `answered`: how often it was answered.
        seen: path, headers and form of each request.
    """

    def __init__(self, translate: Callable[[str, str], str] | None = None, key: str | None = None):
        self.translate = translate or (lambda text, target: f"[{target}] {text}")
        self.key = key
        self.faults: dict[int, Fault] = {}
        self.asked: Counter[tuple[str, str]] = Counter()
        self.answered: Counter[tuple[str, str]] = Counter()
        self.seen: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                if urlsplit(self.path).path == "/microsoft":
                    query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                    return server.answer(self, {"q": json.loads(body)[0]["text"], "target": query["to"]})
                query = {**parse_qs(urlsplit(self.path).query), **parse_qs(body)}
                server.answer(self, {name: values[0] for name, values in query.items()})

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> "TranslationServer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def answer(self, handler: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
        path = urlsplit(handler.path).path
        deepl = path == "/v2/translate"
        text, target = (form.get("text"), form.get("target_lang")) if deepl else (form.get("q"), form.get("target"))
        with self._lock:
            self.seen.append((handler.path, dict(handler.headers), form))
            self.asked[text or "", target or ""] += 1
            fault = self.faults.get(len(self.seen))
        if fault is not None:
            if fault.then is not None:
                fault.then()
            if fault.drop:
                handler.close_connection = True
                return
            return self._send(handler, fault.status, fault.body, fault.headers)
        if path == "/languages":
            names = {code: {"name": code} for code in ("en", "de", "sr-Cyrl")}
            return self._send(handler, 200, json.dumps({"translation": names}).encode())
        if path == "/":  # Google's page
            page = f'<html><div class="result-container">{self.translate(form["q"], form["tl"])}</div></html>'
            return self._send(handler, 200, page.encode())
        if path not in ("/translate", "/v2/translate", "/microsoft") or text is None or target is None:
            return self._send(handler, 404 if text else 400, b'{"error": "no such thing"}')
        given = (
            handler.headers.get("Authorization", "").removeprefix("DeepL-Auth-Key ") if deepl else form.get("api_key")
        )
        if self.key is not None and given != self.key:
            return self._send(handler, 403, json.dumps({"error": f"Invalid API key {given}"}).encode())
        translation = self.translate(text, target)
        with self._lock:
            self.answered[text, target] += 1
        if path == "/microsoft":
            answers = [{"translations": [{"text": translation, "to": target}]}]
            return self._send(handler, 200, json.dumps(answers).encode())
        answer = {"translations": [{"detected_source_language": "EN", "text": translation}]}
        self._send(handler, 200, json.dumps(answer if deepl else {"translatedText": translation}).encode())

    def _send(
        self, handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
