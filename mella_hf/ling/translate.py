"""Translate texts; each piece is sent to the service only once.

Long texts are split between sentences and joined again exactly. Each answer is in the cache before the next request is
sent, so a run that was killed, or that used up a quota, continues where it stopped.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event

from mella_hf.answers.request_cache import Asked, RequestCache
from mella_hf.errors import MellaError
from mella_hf.keys import read_key
from mella_hf.languages import get_language
from mella_hf.ling.translators.chat import ChatTranslator
from mella_hf.ling.translators.routes import chat_model, is_chat
from mella_hf.ling.translators.sentences import reassemble, split_text
from mella_hf.ling.translators.services import SERVICES, ServiceTranslator
from mella_hf.ling.translators.translator import StreamingTranslator, Translator
from mella_hf.plugins import blame, find_plugins, make_plugin

TRANSLATORS = "mella_hf.translators"  # group of entry points
AT_ONCE = 4  # concurrent requests; the token bucket limits the rate


class CachedTranslator:
    """A `Translator` around another one: splits long texts, asks for each piece once, and stores every answer.

    Args:
        translator: translates what is not in the cache.
        at_once: concurrent requests; 1 for a model on this machine.
        on_request: receives the texts of each answered request, for a progress bar; called from any thread.
    """

    def __init__(
        self,
        translator: Translator,
        cache: RequestCache,
        *,
        at_once: int = AT_ONCE,
        on_request: Callable[[Sequence[str]], None] | None = None,
    ):
        self._translator, self._cache, self._at_once, self._on_request = translator, cache, at_once, on_request
        self.name, self.version = translator.name, translator.version
        self.max_chars, self.batch_size = 1 << 30, translator.batch_size

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """One translation per text; "" if a piece of it has none, because half a text is not a translation.

        Raises:
            MellaError: for the inner translator's reasons; answers so far are kept.
        """
        pieces = [split_text(text, self._translator.max_chars) for text in texts]
        cores = dict.fromkeys(piece.strip() for group in pieces for piece in group)
        answers = self._answers(list(filter(None, cores)), source, target)
        translations = []
        for group in pieces:
            found = [answers[piece.strip()] if piece.strip() else "" for piece in group]
            lost = any(piece.strip() and not answer.strip() for piece, answer in zip(group, found, strict=True))
            translations.append("" if lost else reassemble(group, found))
        return translations

    def missing(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The pieces that are not in the cache."""
        asked = self._asked(source, target)
        return [piece for piece in self.pieces(texts) if self._cache.get(asked, piece) is None]

    def pieces(self, texts: Sequence[str]) -> list[str]:
        """What the translator is asked for when these texts are translated, each piece once."""
        pieces = (piece.strip() for text in texts for piece in split_text(text, self._translator.max_chars))
        return list(dict.fromkeys(piece for piece in pieces if piece))

    def _asked(self, source: str, target: str) -> Asked:
        return Asked(self.name, self.version, source, target)

    def _answers(self, cores: list[str], source: str, target: str) -> dict[str, str]:
        asked = self._asked(source, target)
        cached = {core: self._cache.get(asked, core) for core in cores}
        known = {core: answer for core, answer in cached.items() if answer is not None}
        unknown = [core for core in cores if core not in known]
        if isinstance(self._translator, StreamingTranslator):
            return known | self._stream(self._translator, unknown, asked)
        return known | self._ask_groups(unknown, asked)

    def _stream(self, translator: StreamingTranslator, unknown: list[str], asked: Asked) -> dict[str, str]:
        """Let the translator send its own requests; keep each answer as it arrives."""
        found: dict[str, str] = {}

        def keep(index: int, translation: str) -> None:
            found[unknown[index]] = translation
            self._cache.put(asked, {unknown[index]: translation})
            if self._on_request is not None:
                self._on_request([unknown[index]])

        if unknown:
            translator.translate_each(unknown, asked.source, asked.target, keep)
        return found

    def _ask_groups(self, unknown: list[str], asked: Asked) -> dict[str, str]:
        """Ask for groups of texts in threads; keep the answers of each group as they arrive."""
        found: dict[str, str] = {}
        failed = Event()  # cancelling alone is too late for the request that follows immediately

        def ask(group: Sequence[str]) -> dict[str, str]:
            if failed.is_set():
                return {}
            try:
                translations = self._translate(group, asked)
            except BaseException:
                failed.set()
                raise
            self._cache.put(asked, translations)
            if self._on_request is not None:
                self._on_request(group)
            return translations

        size = self._translator.batch_size
        groups = [unknown[start : start + size] for start in range(0, len(unknown), size)]
        with ThreadPoolExecutor(self._at_once) as pool:
            futures = [pool.submit(ask, group) for group in groups]
            wait(futures, return_when=FIRST_EXCEPTION)
            pool.shutdown(wait=True, cancel_futures=True)  # requests in flight still reach the cache
        for future in futures:
            if not future.cancelled():
                found.update(future.result())
        return found

    def _translate(self, group: Sequence[str], asked: Asked) -> dict[str, str]:
        """One request. Raises MellaError if the translator fails, or gives anything but one text for each."""
        try:
            answers = self._translator.translate(group, asked.source, asked.target)
        except Exception as error:
            raise blame(self._translator, f"translator {self.name!r}", error) from error
        if not isinstance(answers, Sequence) or isinstance(answers, str) or len(answers) != len(group):
            count = len(answers) if isinstance(answers, Sequence) else type(answers).__name__
            raise MellaError(
                f"The translator {self.name!r} was given {len(group)} texts and gave back {count}; it must give a list "
                'of as many, with "" where there is no translation.'
            )
        wrong = [answer for answer in answers if not isinstance(answer, str)]
        if wrong:
            raise MellaError(
                f"The translator {self.name!r} gave {wrong[0]!r} for a text; it must give a text, "
                'or "" where there is no translation.'
            )
        return dict(zip(group, answers, strict=True))


def choose_service(language: str) -> str:
    """The first service in the language's entry that can be used: its key is set, or it needs none.

    Raises:
        MellaError: if there is none; the message says how to make one usable.
    """
    routes = [name for name, _ in get_language(language).translation if name in SERVICES]
    for name in routes:
        service = SERVICES[name]
        keyed = service.key_variable is not None and read_key(service.key_variable) is not None
        if service.own_address and (keyed or not service.key_needed):
            return name
    keys = ", ".join(str(SERVICES[name].key_variable) for name in routes if SERVICES[name].key_needed)
    raise MellaError(
        f"No translation service for {language!r} can be used: {', '.join(routes) or 'none'} cover it"
        f"{f'; set one of {keys}' if keys else ''}. Or pass --translator with an NLLB or MADLAD checkpoint, "
        "or libre with --translator-url."
    )


def open_translator(
    choice: str,
    language: str,
    url: str | Sequence[str] | None = None,
    label: str | None = None,
    at_once: int | None = None,
) -> Translator:
    """Open a translator by name.

    Args:
        choice: "auto", one of `SERVICES`, `chat:MODEL` for a chat model on a server, the name of an entry point of the
            group `mella_hf.translators` (a class or function that gives a `Translator`), or a Hub id or folder of an
            NLLB or MADLAD checkpoint.
        language: what is translated into; "auto" takes its first usable service.
        url: address of the service, where it is not the public one, or addresses of a chat model's servers; an entry
            point is called with `url=` then.
        label: what provenance columns say instead of the translator's name and host.
        at_once: concurrent requests per server of a chat model.

    Raises:
        MellaError: when the translator cannot be opened.
    """
    name = choose_service(language) if choice == "auto" else choice
    urls = [url] if isinstance(url, str) else list(url or ())
    if is_chat(name):
        return ChatTranslator(chat_model(name), urls, at_once=at_once, label=label)
    if len(urls) > 1:
        raise MellaError(f"The translator {name!r} takes one address, but {len(urls)} are given.")
    address = urls[0] if urls else None
    if name in SERVICES:
        return ServiceTranslator(name, address, label=label)
    registered = find_plugins(TRANSLATORS)
    if name in registered:
        needed = ("name", "version", "max_chars", "batch_size", "translate")
        made: Translator = make_plugin(registered[name], needed, **({"url": address} if address else {}))
        made.name = label or made.name
        return made
    from mella_hf.ling.translators.seq2seq import Seq2SeqTranslator

    return Seq2SeqTranslator(name)
