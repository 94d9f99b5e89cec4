"""A draft of the public summary of training content that the AI Act asks of providers of general-purpose models.

Article 53(1)(d) of Regulation (EU) 2024/1689. The sections, their order and their headings are those of the AI Office's
template of 24 July 2025, as providers have published it filled in; the words of the fields are shortened. What the rows
say is filled in. What only the provider of a model knows is marked "to be filled in".
"""

from collections import Counter
from math import ceil

from mella_hf.dataset.card.card import language_name
from mella_hf.dataset.info import DatasetInfo

OPEN = "*to be filled in by the provider*"
TOP_SHARE = 0.1  # of the domains, by size of content, which the template asks for
# The template's ranges of size: upper bound, words.
_TOKENS = [(10**9, "less than 1 billion tokens"), (10**13, "1 billion to 10 trillion tokens")]
_IMAGES = [(10**6, "less than 1 million images"), (10**9, "1 million to 1 billion images")]


def training_summary(info: DatasetInfo) -> str:
    """The summary in Markdown, for a model trained on this dataset alone."""
    return "\n".join([*_general(info), *_sources(info), *_processing(info)]) + "\n"


def _general(info: DatasetInfo) -> list[str]:
    tokens = info.tokens()
    spoken = ", ".join(f"{language_name(code)} ({code}): {_rows(info, code):,} texts" for code in info.languages)
    latest = info.collected[1]
    return [
        "# Public Summary of Training Content for General-Purpose AI models",
        "",
        f"- Version of the Summary: {OPEN}",
        f"- Last update: {OPEN}",
        "",
        f"For a model trained on {info.text.title} ({info.where}).",
        "",
        "## 1. General information",
        "",
        "### 1.1 Provider identification",
        "",
        f"- Provider name and contact details: {OPEN}",
        f"- Authorised representative name and contact details: {OPEN}",
        "",
        "### 1.2 Model identification",
        "",
        f"- Versioned model name(s): {OPEN}",
        f"- Model dependencies: {OPEN}",
        f"- Date of placement of the model on the Union market: {OPEN}",
        "",
        "### 1.3 Modalities, overall training data size and other characteristics",
        "",
        f"- Text: {'size not counted' if tokens is None else f'{_range(tokens, _TOKENS)} (about {tokens:,})'}. "
        "Types of content: native alt-texts of web images, and descriptions of images.",
        f"- Image: {_range(info.rows, _IMAGES)} ({info.rows:,}). "
        "Types of content: images of web pages and collections.",
        "- Audio, video, other: none.",
        f"- Latest date of data acquisition or collection: {latest or 'not stated by the rows'}",
        f"- Linguistic characteristics of the overall training data: {spoken}",
        f"- Other relevant characteristics: about {info.hours():,.1f} hours of reading.",
        "",
    ]


def _sources(info: DatasetInfo) -> list[str]:
    first, last = info.collected
    domains = info.counts("domains")
    known = sum(domains.values())
    licenses = ", ".join(f"{name} ({rows:,})" for name, rows in info.counts("licenses").most_common())
    return [
        "## 2. List of data sources",
        "",
        "### 2.1 Publicly available datasets",
        "",
        f"- {info.text.title} ({info.where}); licences stated by its rows: {licenses}.",
        *([f"- {' '.join(info.text.origin.split())}"] if info.text.origin else []),
        "",
        "### 2.2 Private non-publicly available datasets obtained from third parties",
        "",
        "#### 2.2.1 Datasets commercially licensed by rightsholders or their representatives",
        "",
        f"- {OPEN}",
        "",
        "#### 2.2.2 Private datasets obtained from other third parties",
        "",
        f"- {OPEN}",
        "",
        "### 2.3 Data crawled and scraped from online sources",
        "",
        f"- Crawler name, purpose and behaviour: {OPEN}",
        f"- Period of data collection: {f'{first} to {last}' if first else 'not stated by the rows'}",
        f"- {known:,} of {info.rows:,} rows name the domain that they come from; {len(domains):,} domains.",
        f"- Most relevant domain names (top 10% by number of images, {len(top_domains(domains)):,}):",
        "",
        *([f"  {', '.join(f'{name} ({rows:,})' for name, rows in top_domains(domains))}"] if domains else ["  none"]),
        "",
        "### 2.4 User data",
        "",
        "- None in this dataset.",
        "",
        "### 2.5 Synthetic data",
        "",
        *_synthetic(info),
        "",
        "### 2.6 Other sources of data",
        "",
        f"- {OPEN}",
        "",
    ]


def _synthetic(info: DatasetInfo) -> list[str]:
    """Which models wrote or translated texts of the dataset."""
    makers = [
        (name, rows) for name, rows in info.counts("makers").most_common() if name.startswith(("captioner", "transl"))
    ]
    if not makers:
        return ["- No row names a model that wrote or translated its text."]
    return [
        "- Modality: text. Models that wrote or translated it:",
        *(f"  - {name}: {rows:,} rows" for name, rows in makers),
    ]


def _processing(info: DatasetInfo) -> list[str]:
    lost = [line for line in info.notes() if line[0] == "left out"]
    return [
        "## 3. Data processing aspects",
        "",
        "### 3.1 Respect of reservation of rights from text and data mining exception or limitation",
        "",
        f"- Signatory to the Code of Practice for general-purpose AI models: {OPEN}",
        f"- Measures before model training, before and during data collection: {OPEN}",
        f"- Requests to take samples away that were carried out: {info.removals:,}.",
        "",
        "### 3.2 Removal of illegal content",
        "",
        f"- General description of measures taken: {OPEN}",
        "",
        "### 3.3 Other information (optional)",
        "",
        f"- Left out while the dataset was built: {lost[0][1] if lost else 'nothing on record'}.",
    ]


def top_domains(domains: Counter[str]) -> list[tuple[str, int]]:
    """The tenth of the domains that gave the most rows, at least one; equal ones by name."""
    ordered = sorted(domains.items(), key=lambda pair: (-pair[1], pair[0]))
    return ordered[: ceil(len(ordered) * TOP_SHARE)]


def _range(count: int, ranges: list[tuple[int, str]]) -> str:
    unit = ranges[0][1].rpartition(" ")[2]
    largest = "10 trillion" if unit == "tokens" else "1 billion"
    return next((words for bound, words in ranges if count < bound), f"more than {largest} {unit}")


def _rows(info: DatasetInfo, code: str) -> int:
    return sum(one.rows for one in info.splits if one.language == code)
