"""Shared fixtures: a tiny real Qwen2-VL with its real processor, and records with images, built on the spot."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from pictures import png

# Shared with no other process, and with no earlier run.
CACHE = tempfile.TemporaryDirectory(prefix="mella-tests-", ignore_cleanup_errors=True)
os.environ["HF_HOME"] = CACHE.name
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test reaches the Hub; a stub Hub unsets it for its own process
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models are slower on several threads
for wait in ("CONNECT", "TCP"):  # Dask's own 30 s are few when everything starts at once on a busy machine
    os.environ.setdefault(f"DASK_DISTRIBUTED__COMM__TIMEOUTS__{wait}", "600s")
settings.load_profile("ci")  # the same examples in every run, and no deadline for one


def pytest_unconfigure() -> None:
    CACHE.cleanup()


CHAT_TEMPLATE = (  # Qwen2-VL's, without video
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def train_tokenizer(texts: list[str], vocab_size: int) -> Any:
    """A Qwen2 tokenizer (byte-level BPE) trained on `texts`; the special tokens come first."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, special_tokens=list(SPECIAL_TOKENS), show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    state = json.loads(bpe.to_str())["model"]
    return Qwen2Tokenizer(
        vocab=state["vocab"],
        merges=[tuple(pair) for pair in state["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
    )


def build_tiny_qwen2vl(folder: Path, *, vocab_size: int = 640, seed: int = 0) -> Path:
    """Save a random Qwen2-VL of about 0.2 M parameters and its processor (28 px patches, 4 to 16 image tokens).

    It is as published checkpoints are, and `mella_hf.demo.miniature` is not, for speed: Qwen2's own way to part
    words, a system turn, images of different numbers of tokens, embeddings apart from the output layer. What is tested
    here must work on those; and a test of training should not stand on training's own code.
    """
    import torch
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    from mella_hf.languages import get_language, language_codes

    prompts = [p for code in language_codes() for s in ("know", "ling") for p in get_language(code).prompts(s)]
    tokenizer = train_tokenizer(prompts * 4 + ["You are a helpful assistant. system user assistant"], vocab_size)
    pixels = {"patch_size": 28, "merge_size": 2, "min_pixels": 112 * 112, "max_pixels": 224 * 224}
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**pixels),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(patch_size=28, merge_size=2),
        chat_template=CHAT_TEMPLATE,
    )
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "initializer_range": 0.2,  # wide, so that random answers vary with the image
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 2048,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={"depth": 1, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "patch_size": 28},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = ids["<|im_end|>"]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_qwen2vl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random Qwen2-VL with its processor; loads with the Auto classes, offline. Do not write in it."""
    return build_tiny_qwen2vl(tmp_path_factory.mktemp("tiny-qwen2vl"))


def build_rows(
    count: int, *, language: str = "ar", source: str = "know", start: int = 0, texts: list[str] | None = None
) -> Any:
    """A split with the columns of `mella_hf.sample` and images of several sizes; entity i is "entity-i"."""
    from datasets import Dataset

    from mella_hf.sample import features, make_sample

    records = []
    for i in range(start, start + count):
        width, height = 96 + 16 * (i % 4), 80 + 16 * (i % 3)
        text = texts[i - start] if texts else f"نص {i} " * (1 + i % 5)
        record = make_sample(
            image=png(i, width, height), text=text, language=language, source=source, width=width, height=height,
            entity=f"entity-{i}", keywords=[f"نص {i}"] if source == "know" else None, category=["test"],
        )  # fmt: skip
        records.append(record)
    return Dataset.from_list(records, features=features())


@pytest.fixture(scope="session")
def make_rows() -> Any:
    """`build_rows`, for tests that need a split of their own."""
    return build_rows


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory, make_rows: Any) -> Path:
    """Folder of 13 know and 9 ling samples in Arabic, in the published layout. Do not write in it."""
    from datasets import Image

    from mella_hf.dataset.write import write_split

    folder = tmp_path_factory.mktemp("mella")
    for source, count in (("know", 13), ("ling", 9)):
        rows = make_rows(count, source=source, start=0 if source == "know" else 50)
        write_split(rows.cast_column("image", Image(decode=False)), folder, "ar", source)
    return folder


PATIENCE = 60_000  # milliseconds; no test of a page may depend on how busy the machine is


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; without it the tests skip, and fail where CI=true promises that it is there."""
    from playwright.sync_api import expect, sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        message = "Chromium is not installed; pages are not tested. Install it: apt-get install chromium"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """`browser.new_page`, with patience; pages close with the test."""
    pages = []

    def open_one(**settings: Any) -> Any:
        pages.append(browser.new_page(**settings))
        pages[-1].set_default_timeout(PATIENCE)
        return pages[-1]

    yield open_one
    for page in pages:
        page.close()


@pytest.fixture
def open_page(new_page: Any) -> Iterator[Callable[..., Any]]:
    """Opens a report; in the end nothing may have been logged and nothing asked for but the page."""
    opened, trouble = list[Any](), list[str]()

    def open_report(path: Path, **settings: Any) -> Any:
        page = new_page(**settings)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: trouble.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri())
        opened.append(page)
        return page

    yield open_report
    for page in opened:
        page.close()
    assert [entry for entry in trouble if not entry.startswith("data:")] == []


@pytest.fixture
def accessibility() -> Callable[[Any], list[str]]:
    """Runs axe-core on an open page: what it finds, one line a finding."""
    from axe_playwright_python.sync_playwright import Axe

    def check(page: Any) -> list[str]:
        found = Axe().run(page).response["violations"]
        return [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]]

    return check


@pytest.fixture
def page_troubles(open_page: Any, accessibility: Any) -> Callable[[Path], list[str]]:
    """Opens a page wide and narrow, light and dark: what axe finds, and whether something sticks out sideways."""

    def troubles(path: Path) -> list[str]:
        found = []
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                page = open_page(path, color_scheme=scheme, viewport={"width": width, "height": 900})
                page.add_style_tag(content="article { content-visibility: visible !important; }")
                page.locator("details").evaluate_all("all => all.forEach((details) => (details.open = true))")
                wide = page.evaluate("document.documentElement.scrollWidth")
                found += [f"{width} {scheme}: {line}" for line in accessibility(page)]
                found += [f"{width} {scheme}: {wide} px wide"] if wide > width else []
        return found

    return troubles
