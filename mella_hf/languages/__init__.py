"""The languages: one entry each, from a file that a person wrote and from maintained sources such as CLDR.

`get_language("yo")` is the entry of a code. A file of `data/` says what a person must decide about a language; name,
scripts and direction come from Unicode CLDR, codes of services and models from `tables.toml`. Add a language with
`mella languages new XX`, or call `register` from your own code: see docs/new_language.md.
"""

from mella_hf.languages.entries import ENGLISH
from mella_hf.languages.language import Language
from mella_hf.languages.registry import (
    add_folder,
    adopt,
    all_codes,
    get_language,
    known_languages,
    language_codes,
    languages_state,
    own_entries,
    register,
    travelling,
    unregister,
)

__all__ = [
    "ENGLISH",
    "Language",
    "add_folder",
    "adopt",
    "all_codes",
    "get_language",
    "known_languages",
    "language_codes",
    "languages_state",
    "own_entries",
    "register",
    "travelling",
    "unregister",
]
