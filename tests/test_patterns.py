"""No text from outside can make a regular expression of the library slow: time grows with length, not its square.

Every compiled pattern of every module is given inputs that its own parse tree says are bad for it: what a repeat
takes, again and again, behind what leads to it, and in front of something that it does not take.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from re import _compiler as compiler  # type: ignore[attr-defined]
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

import pytest

import mella_hf
from mella_hf.languages import Language, known_languages

LENGTH = 50_000
# Ten times the input may take so many times the time. A linear scan takes 10, a quadratic one 100.
MOST_GROWTH = 40
_PROBES = "a0 \n<>-_.,;:/@+=\"'()[]{}#%!?*$&|~^A\u0431\u0e01\u064b\u200b"
_ENDS = ("", "\x00", "!", " ", "a", "<", ">", "\n")


Way = Callable[[re.Pattern[Any], Any], Any]


def exhaust(pattern: re.Pattern[Any], text: Any) -> None:
    """Find every match: what `search`, `sub`, `split` and their like do at most."""
    for _ in pattern.finditer(text):
        pass


WAYS: dict[str, Way] = {"match": re.Pattern.match, "fullmatch": re.Pattern.fullmatch}
Found = Iterator[tuple[str, re.Pattern[Any], list[Way]]]


@cache
def modules() -> list[ModuleType]:
    """Every module of the library; a `__main__` would run."""
    names = [info.name for info in pkgutil.walk_packages(mella_hf.__path__, "mella_hf.")]
    return [importlib.import_module(name) for name in ("mella_hf", *names) if not name.endswith("__main__")]


@cache
def source() -> str:
    return "".join(inspect.getsource(module) for module in modules())


def compiled_patterns() -> Found:
    """Every compiled pattern that a module holds, in a container too, and the ways in which it is used."""
    for module in modules():
        for name, value in vars(module).items():
            members = (
                value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else [value]
            )
            for number, pattern in enumerate(member for member in members if isinstance(member, re.Pattern)):
                methods = set(re.findall(rf"\b{name}\.([a-z]+)\b", source()))
                ways = [WAYS.get(method, exhaust) for method in methods] or [*WAYS.values(), exhaust]
                yield f"{module.__name__}.{name}[{number}]", pattern, list(dict.fromkeys(ways))


def patterns_in_calls() -> Found:
    """The constant patterns that are given to `re.sub` and its like directly."""
    for module in modules():
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            match node:
                case ast.Call(ast.Attribute(ast.Name("re"), method), [ast.Constant(str() | bytes() as text), *_]):
                    if method != "compile":
                        yield f"{module.__name__}:{node.lineno}", re.compile(text), [WAYS.get(method, exhaust)]


def characters(item: Any) -> list[str]:
    """A few characters that a one-character item of a parse tree takes."""
    operation, value = item
    if operation is codes.LITERAL:
        return [chr(value)]
    if operation is codes.ANY:
        return ["a", " ", "0"]
    tree = parser.SubPattern(parser.State(), [item])
    single = compiler.compile(tree)
    found = [probe for probe in _PROBES if single.fullmatch(probe)]
    if not found and operation is codes.IN:
        found = [
            chr(part[1] if part[0] is codes.LITERAL else part[1][0])
            for part in value
            if part[0] in (codes.LITERAL, codes.RANGE)
        ]
    return found[:8]


def samples(tree: Any) -> list[str]:
    """A few texts that a parse tree takes."""
    texts = [""]
    for item in tree:
        texts = [a + b for a, b in product(texts, of_item(item))][:12]
    return texts


def of_item(item: Any) -> list[str]:
    operation, value = item
    if operation in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        least, _, body = value
        return [text * max(1, min(least, 40)) for text in samples(body)[:6]]
    if operation is codes.SUBPATTERN:
        return samples(value[-1])
    if operation is codes.ATOMIC_GROUP:
        return samples(value)
    if operation is codes.BRANCH:
        return [text for branch in value[1] for text in samples(branch)[:3]]
    if operation in (codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN):
        return characters(item) or [""]
    return [""]  # anchors, look-arounds, back-references


def pumps(tree: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """(prefix, what to repeat) for each repeat of a parse tree, nested ones too; and for pairs of neighbours."""
    last: list[str] = []
    for item in tree:
        operation, value = item
        mine: list[str] = []
        if operation in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            _, most, body = value
            if most > 8:
                mine = samples(body)[:12]
                for text in mine:
                    yield before, text
                for one, other in product(last[:6], mine[:6]):
                    yield before, one + other
            yield from pumps(body, before)
        elif operation is codes.SUBPATTERN:
            yield from pumps(value[-1], before)
        elif operation is codes.ATOMIC_GROUP:
            yield from pumps(value, before)
        elif operation is codes.BRANCH:
            for branch in value[1]:
                yield from pumps(branch, before)
        elif operation in (codes.ASSERT, codes.ASSERT_NOT):
            yield from pumps(value[1], before)
        last = mine or last
        before += (of_item(item) or [""])[0]
        if len(before) < 60:
            yield "", before  # all that led here, again and again


def worst_inputs(pattern: re.Pattern[Any], length: int) -> list[Any]:
    tree = parser.parse(
        pattern.pattern, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    )
    found = dict.fromkeys(pumps(tree))
    found.update(dict.fromkeys(("", probe) for probe in _PROBES))
    texts = []
    for before, pump in found:
        if pump:
            body = before + pump * max(1, length // len(pump))
            texts += [body + end for end in _ENDS]
    if isinstance(pattern.pattern, bytes):
        return [text.encode("latin-1", "replace") for text in texts]
    return texts


def cost(way: Way, pattern: re.Pattern[Any], text: Any) -> float:
    """Seconds of CPU; of three tries, where one alone looks slow: the interpreter may have collected garbage in it."""
    tries: list[float] = []
    while not tries or (min(tries) > 0.02 and len(tries) < 3):
        start = time.thread_time()
        way(pattern, text)
        tries.append(time.thread_time() - start)
    return min(tries)


def slow_input(pattern: re.Pattern[Any], ways: list[Way]) -> str | None:
    """What is wrong: an input, and how its time grows; None when nothing is."""
    for way, length in product(ways, (16, 20, 24, 28, 32, 40, 64, 200)):  # short ones first, for what is exponential
        for text in worst_inputs(pattern, length):
            if cost(way, pattern, text) > 0.05:
                return f"{way.__name__} takes over 50 ms for {text!r}"
    small, middle, large = (worst_inputs(pattern, length) for length in (LENGTH // 25, LENGTH // 10, LENGTH))
    for way in ways:
        costs = [cost(way, pattern, text) for text in small]
        for number in sorted(range(len(small)), key=lambda n: -costs[n])[:3]:
            text = small[number][:80]
            before = cost(way, pattern, middle[number])
            if before > 0.05:
                return f"{way.__name__} takes {before:.3f} s for {LENGTH // 10} characters of {text!r}"
            after = cost(way, pattern, large[number])
            if after > 0.01 and after > MOST_GROWTH * before:
                return f"{way.__name__}: {before:.4f} s, {after:.4f} s for ten times as much of {text!r}"
    return None


def patterns_of_names(language: Language) -> list[str]:
    return [text for text in (language.naming.place_adjectives, language.naming.adjectives) if text]


def patterns_of_languages() -> Found:
    """The patterns in the files of the languages."""
    for language in known_languages():
        for number, text in enumerate((*language.advertising, *patterns_of_names(language))):
            yield f"{language.code}.toml[{number}]", re.compile(text, re.IGNORECASE), [exhaust]


@pytest.mark.slow
def test_time_grows_with_the_length_of_a_text_and_not_with_its_square():
    found = [*compiled_patterns(), *patterns_in_calls(), *patterns_of_languages()]
    slow = {name: problem for name, pattern, ways in found if (problem := slow_input(pattern, ways)) is not None}
    assert slow == {}
    assert len(found) >= source().count("= re.compile(") > 30  # none is overlooked


def patterns_of_regex() -> dict[str, Any]:
    """The patterns of the module `regex`, which knows scripts and kinds of letters; most are made by functions."""
    from mella_hf.dataset import checks
    from mella_hf.languages.scripts import script_pattern
    from mella_hf.metrics import paper
    from mella_hf.metrics.names import spans
    from mella_hf.text import tokens

    made = [checks._VISIBLE, script_pattern(("Arab",)), script_pattern(("Hira", "Kana", "Hani"))]
    made += [paper._penn_pattern(), tokens._word_pattern()]
    # Of a sentence's beginning it is searched in _BEFORE characters alone; a dash is looked for in one place.
    found = {name: pattern for name, pattern in spans.patterns().items() if name not in ("sentence", "dash")}
    return found | {pattern.pattern: pattern for pattern in made}


def slow_for_regex(pattern: Any) -> str | None:
    """As `slow_input`; `regex` shows no parse tree, so that all pairs of telling characters are tried."""
    probes = "a1 -'.,/#d\u0301\u0e01\u064b\u00ab\u201c\"\n!"
    pumps = [one + other for one, other in product(probes, ("", *probes))]
    found = list(product(("", "\u00ab", "'"), pumps, ("", "\x00")))
    for length in (24, 100, 400):  # short ones first, for what is exponential
        costs = {}
        for before, pump, end in found:
            text = before + pump * (length // len(pump)) + end
            costs[before, pump, end] = cost(exhaust, pattern, text)
            if costs[before, pump, end] > 0.05:
                return f"over 50 ms for {text!r}"
        found = sorted(costs, key=lambda key: -costs[key])[: 200 if length < 400 else 4]
    for before, pump, end in found:
        small, large = (cost(exhaust, pattern, before + pump * (n // len(pump)) + end) for n in (1_000, 10_000))
        if large > 0.01 and large > MOST_GROWTH * small:
            return f"{small:.4f} s, {large:.4f} s for ten times as much of {before + pump!r}"
    return None


def test_the_patterns_of_regex_too():
    slow = {name: problem for name, pattern in patterns_of_regex().items() if (problem := slow_for_regex(pattern))}
    assert slow == {}
    made = len(re.findall(r"\bregex\.compile\(", source()))
    assert len(patterns_of_regex()) >= made - 2 > 5  # but for those two none is overlooked


@pytest.mark.parametrize("bad", [r"[\p{Latin}\d]*\p{Latin}", r"\u00ab\s*([^\u00ab\u00bb]+?)\s*\u00bb"])
def test_slow_patterns_of_regex_are_found(bad):
    import regex

    assert slow_for_regex(regex.compile(bad)) is not None


BAD = (r"\s+$", r"(a+)+b", r"<!--.*?-->x", r"[\w.]+@")


@pytest.mark.parametrize("bad", BAD)
def test_slow_patterns_are_found(bad):
    assert slow_input(re.compile(bad), [exhaust]) is not None
