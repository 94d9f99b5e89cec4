"""Read what a site, a page or a response says against the use of its content for machine learning.

docs/opt_outs.md has the table: each signal, where it may stand, its source, and what is done. A signal is known by one
name here, in the reports, and in `--ignore-opt-outs`.
"""

import re
from collections.abc import Iterable

from mella_hf.errors import MellaError

PRODUCT = "mella_hf"  # the name that rules may address
# The directives of robots meta tags and X-Robots-Tag that forbid; "none" is "noindex, nofollow".
DIRECTIVES = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})
SIGNALS = (*sorted(DIRECTIVES), "tdm", "content_usage", "content_signal", "ai_txt", "rsl", "plus", "c2pa")
TDM_DIRECTIVE = "tdm-reservation"  # how a page's TDM reservation stands among its directives
TDM, USAGE, SIGNAL, RSL = "tdm", "content_usage", "content_signal", "rsl"
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
# "none" of a preview is not the directive "none"
_PREVIEW = re.compile(r"max-(?:snippet|image-preview|video-preview)[ \t]*+:[ \t]*+(?:none|standard|large|-?\d++)")
_EVERYONE = frozenset({"*", "robots", "all", PRODUCT})
# What the drafts of AIPREF called training, and training of generative models; and what includes it.
_TRAINING = ("train-ai", "train-genai", "ai-train", "ai", "genai")
_ALL_USES = ("bots", "all", "tdm")
_NO = frozenset({"n", "no", "?0", "false"})
# A member of a dictionary, and it without its parameters: commas and semicolons within quotes separate nothing.
_MEMBER = re.compile(r'(?:[^,"]++|"(?:[^"\\]++|\\.)*+"?+)++', re.DOTALL)
_PARAMETERS = re.compile(r'(?:[^;"]++|"(?:[^"\\]++|\\.)*+"?+)*+', re.DOTALL)
_SEPARATORS = re.compile(r"[,;\s]++")
_AGENT = re.compile(r"[a-z*][\w.*/+-]*+")


def robots_directives(values: Iterable[str]) -> list[str]:
    """The directives that robots meta tags or X-Robots-Tag headers give to everyone or to this project.

    Args:
        values: one for each tag and each header line, since "otherbot: noindex, nofollow" holds to its line's end.

    Returns:
        Lower case, each once, in order, without values: neither a date of `unavailable_after`, whose comma separates
        nothing, nor a number of `max-snippet`, nor "none" of `max-image-preview`. "no-ai" and '"noai"' are noai.
    """
    found: dict[str, None] = {}
    for value in values:
        ours = True
        # "otherbot : noindex" and "otherbot:noindex" are one
        plain = _PREVIEW.sub(" ", value.lower())
        for token in _SEPARATORS.split(": ".join(part.strip(" \t") for part in plain.split(":"))):
            name, colon, _ = token.strip("\"'").partition(":")
            if colon:
                if name not in _WITH_VALUE and _AGENT.fullmatch(name):
                    ours = name in _EVERYONE
            elif ours and name:
                joined = name.replace("-", "").replace("_", "")
                found[joined if joined in DIRECTIVES else name] = None
    return list(found)


def opt_outs(directives: Iterable[str]) -> list[str]:
    """The signals among a page's directives, in order of their names."""
    named = {TDM if directive == TDM_DIRECTIVE else directive for directive in directives}
    return sorted(named.intersection(SIGNALS))


def named_opt_outs(names: str) -> tuple[str, ...]:
    """The signals of a list such as "noindex,tdm". Raises MellaError for an unknown name."""
    found = tuple(name.strip() for name in names.split(",") if name.strip())
    unknown = [name for name in found if name not in SIGNALS]
    if unknown:
        raise MellaError(f"There is no opt-out {unknown[0]!r}; give some of {', '.join(SIGNALS)}.")
    return found


def usage_opt_outs(content_usage: Iterable[str], content_signal: Iterable[str]) -> list[str]:
    """The signals of the headers Content-Usage and Content-Signal, or of the lines so called in robots.txt.

    Args:
        content_usage, content_signal: the values of these headers, of which there may be several.
    """
    found = [USAGE] if forbids_training(", ".join(content_usage)) else []
    return found + ([SIGNAL] if forbids_training(", ".join(content_signal)) else [])


def forbids_training(preferences: str) -> bool:
    """Whether AIPREF preferences (draft-ietf-aipref-vocab) or content signals forbid training.

    `train-ai=n` or `ai-train=no` does. What is said of all processing counts where training is not named; what is said
    of generative models is a part of it. The names are those of all drafts so far.
    """
    said = preferences_in(preferences)
    of_training = [said[name] for name in _TRAINING if name in said]
    if any(value in _NO for value in of_training):
        return True
    return not of_training and any(said.get(name) in _NO for name in _ALL_USES)


def preferences_in(value: str) -> dict[str, str]:
    """The keys of "search=y, train-ai=n" with their values, in lower case; the last of equal keys counts (RFC 9651)."""
    found = {}
    for member in _MEMBER.findall(value.lower()):
        key, _, said = _PARAMETERS.match(member)[0].partition("=")  # type: ignore[index]
        found[key.strip().replace("_", "-")] = said.strip().strip('"').strip()
    return found


def is_reserved(tdm_reservation: str | None) -> bool | None:
    """Whether a TDM-Reservation header or meta tag reserves rights; None without one (TDMRep, 6.1 and 6.2)."""
    if tdm_reservation is None:
        return None
    return any(value.partition(";")[0].strip(" \t\"'") == "1" for value in tdm_reservation.split(","))
