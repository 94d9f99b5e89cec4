"""Translate with a web service that deep-translator supports, and cope with its failures.

Keys come from the environment only and never appear in errors, logs or caches.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from mella_hf.errors import MellaError, StageError
from mella_hf.keys import check_address, read_key
from mella_hf.languages import get_language
from mella_hf.ling.translators.transport import NO_KEY, TRANSPORT, install
from mella_hf.retry import TokenBucket, backoff, retry_after

VERSION = "1"  # of what is sent; deep-translator's is not part of it, or its upgrade would pay for all once more
ATTEMPTS = 6  # of one request, when the service fails
SAME = 3  # unreadable answers to one text before it is left out
MANY_UNREADABLE = 10  # texts in a row whose answers cannot be read before the run stops
LONGEST_WAIT = 600.0  # seconds: a Retry-After beyond it is a quota, not a moment's crowd
_QUOTA = (402, 456)  # 456: DeepL, quota exceeded (developers.deepl.com, error handling)
_REFUSED = (401, 403)
_TEXT_AT_FAULT = (413, 414, 422)  # too long, or not to be translated
_OURS = (400, 404, 405, 501)  # the request is wrong, and will be wrong again


class QuotaExhaustedError(StageError):
    """The service gives no more today. What was translated is kept; the same command goes on tomorrow."""


@dataclass(frozen=True)
class Service:
    """A web service for translation.

    Attributes:
        name: as in `Language.translation`.
        module, kind: deep-translator's module and class.
        key_variable: environment variable of the key; None where there is none.
        key_needed: whether the service works without a key.
        max_chars: characters a request.
        requests_per_second: what the service allows, or what is polite.
        price: US dollars a million characters, list price; change it with `--price`.
        own_address: whether there is a public address, so that `--translator-url` may be left out.
    """

    name: str
    module: str
    kind: str
    key_variable: str | None
    key_needed: bool
    max_chars: int
    requests_per_second: float
    price: float
    own_address: bool = True


# Lengths and rates: Google 5,000 characters and 5 requests a second (deep-translator 1.11.4, validate.py and
# exceptions.py); DeepL 128 KiB a request, Microsoft 50,000 characters: 5,000 keeps what one failure repeats small;
# LibreTranslate 2,000 (the public server's limit). Prices: DeepL API Pro 25 USD, Microsoft S1 10 USD, Google's page
# and a LibreTranslate of one's own none. List prices of 2025; they change.
SERVICES = {
    service.name: service
    for service in (
        Service("deepl", "deepl", "DeeplTranslator", "DEEPL_API_KEY", True, 5000, 10.0, 25.0),
        Service("google", "google", "GoogleTranslator", None, False, 4999, 5.0, 0.0),
        Service("microsoft", "microsoft", "MicrosoftTranslator", "MICROSOFT_API_KEY", True, 5000, 10.0, 10.0),
        Service("libre", "libre", "LibreTranslator", "LIBRE_API_KEY", False, 2000, 10.0, 0.0, own_address=False),
    )
}


@cache
def _failures() -> tuple[type[Exception], ...]:
    """The errors of deep-translator, and those of requests and of unexpected answers that it does not catch."""
    from deep_translator import exceptions as errors
    from requests import RequestException

    own = (errors.BaseError, errors.RequestError, errors.TooManyRequests, errors.ServerException)
    others = (errors.MicrosoftAPIerror, errors.AuthorizationException, RequestException)
    return (*own, *others, ValueError, KeyError, TypeError, AttributeError, IndexError)


class ServiceTranslator:
    """A `Translator` over one web service.

    Args:
        service: name of one of `SERVICES`.
        url: address of the server, where it is not the public one.
        label: what provenance columns say; the service's name, with its host where `url` is given.
        requests_per_second: instead of the service's own.
        sleep: how to wait; tests pass their own.

    Raises:
        MellaError: unknown service, or its key is not in the environment.
    """

    batch_size = 1

    def __init__(
        self,
        service: str,
        url: str | None = None,
        *,
        label: str | None = None,
        requests_per_second: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ):
        if service not in SERVICES:
            raise MellaError(f"Unknown translation service {service!r}; choose one of {', '.join(SERVICES)}.")
        self.service = SERVICES[service]
        if url is None and not self.service.own_address:
            raise MellaError(f"The service {service!r} needs the address of a server; pass --translator-url.")
        if url is not None:
            check_address(url)
        self._url = url
        self._key = service_key(self.service)
        host = url.split("://", 1)[-1].split("/", 1)[0].rsplit("@", 1)[-1] if url else None
        self.name = label or (f"{service}@{host}" if host else service)
        self.version = VERSION
        self.max_chars = self.service.max_chars
        rate = requests_per_second or self.service.requests_per_second
        self._bucket = TokenBucket(rate, burst=max(1, int(rate)), sleep=sleep)
        self._sleep = sleep
        self._unreadable_texts = 0  # in a row
        self._local = threading.local()  # deep-translator's objects keep the text of a request

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """One request a text.

        Raises:
            QuotaExhaustedError: the service gives no more.
            StageError: it keeps failing, refuses the key, or does not know the language.
        """
        client = self._client(source, target)
        return [self._ask(client, text) for text in texts]

    def _client(self, source: str, target: str) -> Any:
        clients = self._local.__dict__.setdefault("clients", {})
        if (source, target) not in clients:
            module = import_module(f"deep_translator.{self.service.module}")
            install(module)
            options: dict[str, Any] = {}
            if self.service.key_variable is not None:
                options["api_key"] = self._key or NO_KEY
            if self.service.name == "deepl":
                options["use_free_api"] = (self._key or "").endswith(":fx")  # how DeepL marks free keys
            if self.service.name == "microsoft":
                options["region"] = read_key("MICROSOFT_REGION")  # not secret, and needed by regional keys
            made = self._attempt(lambda: getattr(module, self.service.kind)(source="en", target="de", **options))
            # By its setters: deep-translator's own table of languages is older than the services'.
            made.source, made.target = service_code(self.service.name, source), service_code(self.service.name, target)
            if self._url is not None:
                made._base_url = self._base_url()
            clients[source, target] = made
        return clients[source, target]

    def _base_url(self) -> str:
        """The address in the form in which deep-translator keeps it."""
        path = {"deepl": "/v2/", "libre": "/"}.get(self.service.name, "")
        return str(self._url).rstrip("/") + path

    def _ask(self, client: Any, text: str) -> str:
        return self._attempt(lambda: _as_text(client.translate(text)), text_fault="")

    def _attempt(self, request: Callable[[], Any], text_fault: str | None = None) -> Any:
        """The result of a request, made again while the service is busy or broken."""
        unreadable = 0
        for attempt in range(1, ATTEMPTS + 1):
            self._bucket.take()
            TRANSPORT.forget()
            try:
                result = request()
                self._unreadable_texts = 0
                return result
            except _failures() as error:
                kind = type(error).__name__
            # Outside the handler, so that no error which may quote a key stands behind ours.
            seen = TRANSPORT.last
            wait = retry_after(seen.retry_after)
            if seen.status in _TEXT_AT_FAULT and text_fault is not None:
                return text_fault
            unreadable = unreadable + 1 if seen.status == 200 else 0
            if unreadable == SAME and text_fault is not None:
                return self._unreadable(seen.body, text_fault)
            self._refuse(seen.status, wait, seen.body)
            if attempt < ATTEMPTS:
                if seen.status == 429 or wait is not None:
                    self._bucket.pause(backoff(attempt) if wait is None else wait)
                else:
                    self._sleep(backoff(attempt))
        cause = f"answered with status {seen.status}" if seen.status else f"did not answer ({kind})"
        raise StageError(
            f"The translation service {self.name!r} {cause}, {ATTEMPTS} times in a row. "
            "What was translated is kept; run the same command again later."
        )

    def _unreadable(self, body: str, text_fault: str) -> str:
        """Count an answer that cannot be read, and give what stands for it. Raises StageError after many in a row."""
        self._unreadable_texts += 1
        if self._unreadable_texts < MANY_UNREADABLE:
            return text_fault
        raise StageError(
            f"The answers of the translation service {self.name!r} cannot be read: {self._hidden(body)!r}. "
            "What was translated is kept; see that the address is one of a translation service."
        )

    def _hidden(self, said: str) -> str:
        """The beginning of what a service said, without the key."""
        return (said.replace(self._key, "***") if self._key else said)[:200]

    def _refuse(self, status: int, wait: float | None, body: str) -> None:
        """Raise when asking again would not help."""
        if status in _QUOTA or (wait is not None and wait > LONGEST_WAIT):
            hours = "" if wait is None else f" for {wait / 3600:.1f} hours"
            raise QuotaExhaustedError(
                f"The quota of the translation service {self.name!r} is exhausted{hours}. "
                "What was translated is kept; run the same command again when the quota is renewed."
            )
        if status in _REFUSED:
            variable = self.service.key_variable or "none is used"
            raise StageError(
                f"The translation service {self.name!r} refuses the key (status {status}); "
                f"check the environment variable of the key ({variable})."
            )
        if status in _OURS:
            raise StageError(
                f"The translation service {self.name!r} refuses the request (status {status}): {self._hidden(body)!r}. "
                "See the service's documentation for what that means, or choose another --translator."
            )
        if 300 <= status < 400:
            raise StageError(
                f"The translation service {self.name!r} answers with a redirect (status {status}), which is not "
                "followed because it could carry the key elsewhere; give the address of the server itself."
            )


def _as_text(answer: Any) -> str:
    """A service's answer, if it is a text that a file can hold. Raises TypeError or ValueError."""
    if answer is None:
        return ""
    if not isinstance(answer, str):
        raise TypeError(f"a translation was expected, not {type(answer).__name__}")
    answer.encode("utf-8")
    return answer


def service_key(service: Service) -> str | None:
    """The key of a service, from the environment. Raises MellaError when it is needed and absent, or cannot be sent."""
    key = read_key(service.key_variable) if service.key_variable else None
    if not key and service.key_needed:
        raise MellaError(
            f"The translation service {service.name!r} needs a key; set the environment variable "
            f"{service.key_variable}. Keys are never read from the command line."
        )
    return key


def service_code(service: str, language: str) -> str:
    """The code of a language at a service. If it lacks the language, raises MellaError that names services with it."""
    if language == "en":
        return {"deepl": "EN", "nllb": "eng_Latn"}.get(service, "en")
    codes = dict(get_language(language).translation)
    if service not in codes:
        raise MellaError(
            f"The service {service!r} does not cover {language!r}; these do: {', '.join(codes) or 'none'}. "
            f"`mella languages {language}` lists them."
        )
    return codes[service]
