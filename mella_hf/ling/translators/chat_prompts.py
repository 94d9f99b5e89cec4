"""What chat models are asked when they translate: one prompt for all, and the forms that some were trained on."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mella_hf.languages import get_language

PROMPT_VERSION = "1"  # stored with every translation; increase it when a prompt changes
_SCRIPTS = {"Cyrl": "Cyrillic script", "Latn": "Latin script", "Arab": "Arabic script", "Deva": "Devanagari script"}
TAGS = "Keep tags such as <n1> and </n1> around the same words; a name between them may be inflected."


@dataclass(frozen=True)
class Form:
    """A form of request that a family of models was trained on.

    Attributes:
        name: stored in the version of the translator.
        models: matches the names of the family's models.
        build: text, source and target (codes of languages) -> what the request holds beside the model.
    """

    name: str
    models: re.Pattern[str]
    build: Callable[[str, str, str], Mapping[str, Any]]


def find_form(model: str) -> Form:
    """The form for a model, by its name; the general one if it is not of a family below."""
    return next(form for form in FORMS if form.models.search(model))


def language_name(code: str) -> str:
    """The English name, with the script where the language is written in several."""
    if code == "en":
        return "English"
    language = get_language(code)
    script = _SCRIPTS.get(language.scripts[0])
    return f"{language.name} ({script})" if len(language.scripts) > 1 and script else language.name


def _user(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def _general(text: str, source: str, target: str) -> Mapping[str, Any]:
    return _user(
        f"Translate the following text from {language_name(source)} into {language_name(target)}. "
        f"Answer with the translation alone, complete and without notes. {TAGS}\n\n{text}"
    )


def _source_text(text: str, source: str, target: str) -> Mapping[str, Any]:
    """As the cards of Unbabel/Tower-Plus-9B and utter-project/EuroLLM-9B-Instruct show it."""
    one, other = language_name(source), language_name(target)
    return _user(f"Translate the following {one} source text to {other}:\n{one}: {text}\n{other}: ")


def _from_into(text: str, source: str, target: str) -> Mapping[str, Any]:
    """As the cards of Unbabel/TowerInstruct-7B-v0.2 and BSC-LT/salamandraTA-7b-instruct show it."""
    one, other = language_name(source), language_name(target)
    return _user(f"Translate the following text from {one} into {other}.\n{one}: {text}\n{other}:")


def _language_codes(text: str, source: str, target: str) -> Mapping[str, Any]:
    """As the card of google/translategemma-4b-it shows it: its chat template takes the languages as codes.

    vLLM passes them on from the part of the content, llama.cpp from `chat_template_kwargs`.
    """
    codes = {"source_lang_code": source, "target_lang_code": target}
    content = [{"type": "text", **codes, "text": text}]
    return {"messages": [{"role": "user", "content": content}], "chat_template_kwargs": codes}


FORMS = (
    Form("translategemma", re.compile(r"translate-?gemma", re.IGNORECASE), _language_codes),
    Form("source text", re.compile(r"tower-?(?:plus|\+)|eurollm", re.IGNORECASE), _source_text),
    Form("from into", re.compile(r"towerinstruct|salamandra-?ta", re.IGNORECASE), _from_into),
    Form("general", re.compile(r""), _general),
)
