"""`mella languages`: list the languages, show the entry of one, or draft a new one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import Translator, TranslatorUrl
from mella_hf.files import check_place

if TYPE_CHECKING:
    from mella_hf.languages.drafting import Translate


def languages(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CODE | new CODE]", help="A code, to show its entry; new and a code, to draft one."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the file that new writes.")] = Path("languages"),
    name: Annotated[str, typer.Option(help="English name, where Unicode CLDR does not know the language.")] = "",
    script: Annotated[str, typer.Option(help="Its usual script (ISO 15924), where CLDR does not know it.")] = "",
    translator: Translator = "",
    translator_url: TranslatorUrl = None,
    rows: Annotated[bool, typer.Option("--tsv", help="Print the table with tabs, for other programs.")] = False,
) -> None:
    """List the languages and what each rests on; show the entry of one; draft the file of a new one.

    Every command takes these codes. `mella languages new XX` writes OUT/XX.toml, with English prompts or, with
    --translator, machine-made ones, and says what a speaker must confirm. Use the folder with --languages-from OUT, or
    by setting MELLA_LANGUAGES=OUT.
    """
    from mella_hf.errors import MellaError

    match what or []:
        case []:
            _list(rows)
        case ["new", code]:
            check_place("--out", out, folder=True)
            _draft(code, out, name, script, _translate(code, translator, translator_url))
        case [code] if code != "new":
            _show(code)
        case words:
            raise MellaError(f"mella languages {' '.join(words)}: give nothing, one code, or new and one code.")


def _list(rows: bool) -> None:
    from mella_hf.languages import all_codes, get_language
    from mella_hf.languages.registry import user_entries
    from mella_hf.languages.standing import standing

    header = (
        "code",
        "language",
        "script",
        "prompts",
        "identification",
        "words",
        "stemmer",
        "names",
        "judge",
        "translators",
    )
    lines = [header]
    faults = {code: entry for code, entry in user_entries().items() if isinstance(entry, Exception)}
    for code in all_codes():
        if code in faults:
            continue
        language = get_language(code)
        rest = standing(language)
        lines.append(
            (
                code, language.name, "+".join(language.scripts), rest.prompts, rest.identification,
                rest.words.split(":")[0], rest.stemmer, rest.names, rest.judge, rest.translators.replace(", ", " "),
            )
        )  # fmt: skip
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for line in lines:
        cells = line if rows else [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        say(("\t" if rows else "  ").join(cells).rstrip())
    for fault in faults.values():
        say(f"left out: {fault}", err=True)
    finish(
        {
            "languages": [dict(zip(header, line, strict=True)) for line in lines[1:]],
            "left_out": list(map(str, faults.values())),
        }
    )


def _show(code: str) -> None:
    from mella_hf.languages import get_language
    from mella_hf.languages.sources import judge_of
    from mella_hf.languages.standing import standing

    language = get_language(code)
    rest = standing(language)
    direction = "right to left" if language.rtl else "left to right"
    normalizer = language.normalizer.__name__.removeprefix("normalize_")
    facts = {
        "Name": f"{language.name}, {language.native_name}",
        "Script": f"{', '.join(language.scripts)}, {direction}",
        "Prompts": f"{rest.prompts}, {len(language.know_prompts)} for know and {len(language.ling_prompts)} for ling",
        "Test prompts": f"{language.test_prompt('know')} | {language.test_prompt('ling')}",
        "Identification": f"{rest.identification}; labels {', '.join(sorted(language.lid)) or 'none'}",
        "Normalisation": normalizer,
        "Words": rest.words,
        "Stemmer": rest.stemmer,
        "Names": rest.names,
        "Judge": rest.judge,
        "Translation": ", ".join(f"{service} ({said})" for service, said in language.translation) or "none",
        "Notes": language.notes,
    }
    for title, text in facts.items():
        if text:
            say(f"{title + ':':16} {text}")
    gaps = _gaps(rest, judge_of(code))
    for gap in gaps:
        say(f"- {gap}")
    finish({"code": code, **{title.lower().replace(" ", "_"): text for title, text in facts.items()}, "gaps": gaps})


def _gaps(rest: Any, judge: str | None) -> list[str]:
    """What is missing, and what can be done about it."""
    gaps = {
        "Nobody has written prompts yet: `mella languages new CODE` drafts a file for a speaker.": rest.prompts
        == "English",
        "A machine wrote the prompts: let a speaker confirm them.": rest.prompts.startswith("drafted"),
        "py3langid cannot tell the language; --lid glotlid can.": rest.identification == "GlotLID alone",
        "No identifier knows the language: only pages that declare it are collected.": rest.identification == "none",
        "No names are found in alt-texts, so that reports lead with METEOR.": rest.names == "none",
        "No judge has read the language: describe with --no-qe and review, or set a threshold yourself.": judge is None,
        "AfriCOMET has read the language, COMETKiwi has not: --qe-model masakhane/africomet-qe-stl.": judge
        == "africomet",
    }
    return [text for text, holds in gaps.items() if holds]


def _translate(code: str, translator: str, url: str | None) -> "Translate | None":
    if not translator:
        return None
    from mella_hf.ling.translate import open_translator

    service = open_translator(translator, code, url)
    return lambda texts: service.translate(texts, "en", code)


def _draft(code: str, out: Path, name: str, script: str, translate: "Translate | None") -> None:
    from mella_hf.errors import MellaError
    from mella_hf.files import write_atomic
    from mella_hf.languages.drafting import check_entry, draft_entry

    path = out / f"{code}.toml"
    if path.exists():
        raise MellaError(f"{str(path)!r} is there already; edit it, or move it away first.")
    text = draft_entry(code, name=name, script=script, translate=translate)
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text)
    entry = check_entry(path)
    say(f"{path}: a draft for {entry.name} ({entry.native_name}). Its first lines say what a speaker must confirm.")
    say(f"Use it with --languages-from {out}, or: export MELLA_LANGUAGES={out.resolve()}")
    finish({"file": path, "code": code}, path)
