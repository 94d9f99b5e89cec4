"""Croissant 1.1 metadata of a dataset: its files, its columns, and where each split comes from.

The vocabulary is that of https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html. Provenance is in the words
of W3C PROV-O, as the specification asks.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mella_hf.dataset.card.facts import SplitFacts
from mella_hf.funnel import Counts
from mella_hf.sample import FEATURES_DICT

CROISSANT = "croissant.json"
VERSION = "http://mlcommons.org/croissant/1.1"
PAPER = "https://arxiv.org/abs/2508.05502"
_FILES = "repository"
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {"string": "sc:Text", "int32": "cr:Int32", "float32": "cr:Float32"}
_LICENSES = {  # as samples carry them -> addresses that schema.org's `license` may name
    "GPL-2": "https://spdx.org/licenses/GPL-2.0-only",
    "GPL-3": "https://spdx.org/licenses/GPL-3.0-only",
    **{name: f"https://spdx.org/licenses/{name}" for name in ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-SA-3.0")},
    **{name: f"https://spdx.org/licenses/{name}" for name in ("MIT", "Apache-2.0")},
}


def croissant(
    facts: Sequence[SplitFacts], funnel: Mapping[str, Any], *, title: str, repo: str, origin: str, published: str
) -> str:
    """The metadata as JSON-LD.

    Args:
        funnel: language -> source -> what the build kept and dropped.
        repo: on the Hub, as ORGANISATION/NAME, or a local folder.
        origin: where the data came from.
        published: day of the first publication, YYYY-MM-DD.
    """
    on_hub = not repo.startswith(("./", "/"))
    url = f"https://huggingface.co/datasets/{repo}" if on_hub else PAPER
    licenses = sorted({name for one in facts for name in one.licenses})
    metadata = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": title,
        "description": f"{sum(one.rows for one in facts):,} image-text pairs in "
        f"{len({one.language for one in facts})} languages, in the form of MELLA. {origin}".strip(),
        "url": url,
        "license": [_LICENSES.get(name, name) for name in licenses],
        "creator": {"@type": "Organization", "name": repo.split("/")[0] if on_hub else title, "url": url},
        "datePublished": published,
        "version": "1.0.0",
        "inLanguage": sorted({one.language for one in facts}),
        "citeAs": f"MELLA, arXiv:2508.05502, {PAPER}",
        "distribution": [_repository(repo, on_hub), *(_files(one, funnel, repo) for one in facts)],
        "recordSet": [_records(one) for one in facts],
    }
    return json.dumps(metadata, ensure_ascii=False, indent=1) + "\n"


def _repository(repo: str, on_hub: bool) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": _FILES,
        "name": _FILES,
        "description": "The repository that holds the shards.",
        "contentUrl": f"https://huggingface.co/datasets/{repo}" if on_hub else repo,
        "encodingFormat": "git+https",
        # A repository has no checksum of its own; its commits do. This is what the Hub itself writes here.
        "sha256": "https://github.com/mlcommons/croissant/issues/80",
    }


def _files(one: SplitFacts, funnel: Mapping[str, Any], repo: str) -> dict[str, Any]:
    """The shards of a split, with its provenance."""
    return {
        "@type": "cr:FileSet",
        "@id": f"files/{one.place}",
        "name": f"files/{one.place}",
        "description": f"{len(one.shards)} shards, {one.rows:,} rows, {one.files_bytes:,} bytes.",
        "containedIn": {"@id": _FILES},
        "encodingFormat": "application/x-parquet",
        "includes": f"{one.place}-*.parquet",
        "prov:wasDerivedFrom": [
            {"@type": "prov:Entity", "name": domain, "description": f"{rows:,} rows"}
            for domain, rows in sorted(one.domains.items(), key=lambda pair: (-pair[1], pair[0]))[:20]
        ],
        "prov:wasGeneratedBy": [
            {"@type": "prov:Activity", "name": "build", "description": _building(one, funnel)},
            *(_made(name, rows) for name, rows in sorted(one.makers.items())),
        ],
        "prov:wasAttributedTo": {"@type": "prov:Agent", "name": repo},
    }


def _building(one: SplitFacts, funnel: Mapping[str, Any]) -> str:
    """What the build did to the rows of the split's source."""
    kind = "native alt-texts of web pages" if one.split.startswith("know") else "translated descriptions of images"
    first, last = one.collected
    collected = f", collected from {first} to {last}" if first else ""
    counts = funnel.get(one.language, {}).get(one.split.removesuffix("_test"))
    if not counts:
        return f"mella_hf made the split of {kind}{collected}."
    parts = Counts.of(counts)
    return f"mella_hf made the split of {kind}{collected}; left out of both splits: {parts.reasons() or 'nothing'}."


def _made(maker: str, rows: int) -> dict[str, Any]:
    kind, _, name = maker.partition(": ")
    return {
        "@type": "prov:Activity",
        "name": kind,
        "description": f"{rows:,} rows",
        "prov:wasAssociatedWith": {"@type": "prov:Agent", "name": name},
    }


def _records(one: SplitFacts) -> dict[str, Any]:
    """The columns of a split."""
    return {
        "@type": "cr:RecordSet",
        "@id": one.place,
        "name": one.place,
        "description": f"The split {one.split} of the language {one.language}: {one.rows:,} rows.",
        "key": {"@id": f"{one.place}/id"},
        "field": [_field(one.place, name, kind) for name, kind in FEATURES_DICT.items()],
    }


def _field(place: str, name: str, kind: Mapping[str, Any]) -> dict[str, Any]:
    source: dict[str, Any] = {"fileSet": {"@id": f"files/{place}"}, "extract": {"column": name}}
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{place}/{name}",
        "name": f"{place}/{name}",
        "description": f"The column {name}.",
        "dataType": _TYPES.get(kind.get("dtype", "string"), "sc:Text"),
        "source": source,
    }
    if kind["_type"] == "Image":
        field["dataType"] = "sc:ImageObject"
        source["transform"] = {"jsonPath": "bytes"}
    if "feature" in kind:
        field |= {"isArray": True, "arrayShape": "-1"}
    return field
