"""Translate with a sequence-to-sequence model on your own machine (NLLB-200, MADLAD-400).

Both were trained on sentences (Costa-jussà et al. 2022, arXiv 2207.04672; Kudugunta et al. 2023,
arXiv 2309.04662), so texts are passed a few sentences at a time.
"""

from collections.abc import Sequence
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.keys import check_hub_token
from mella_hf.ling.translators.services import service_code

SENTENCE_CHARS = 400  # two or three sentences
FAMILIES = {"m2m_100": "nllb", "t5": "madlad"}  # model type in config.json -> name in `Language.translation`


class Seq2SeqTranslator:
    """A `Translator` over a transformers checkpoint.

    Args:
        model: Hub id or folder of an NLLB or MADLAD checkpoint.
        batch_size: texts per batch; sorted by length to need little padding.
        beams: width of the beam search.
        device: "cuda", "cpu", ...; by default the accelerator, if there is one.

    Raises:
        MellaError: if the checkpoint does not load, or belongs to another family.
    """

    max_chars = SENTENCE_CHARS

    def __init__(self, model: str, *, batch_size: int = 16, beams: int = 4, device: str | None = None):
        import torch
        import transformers
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        from mella_hf.answers.identity import content_hash, model_name

        check_hub_token(model)
        self.batch_size, self._beams = batch_size, beams
        try:
            self._model: Any = AutoModelForSeq2SeqLM.from_pretrained(model, dtype="auto")
            self._tokenizer: Any = AutoTokenizer.from_pretrained(model)
        except (OSError, ValueError, KeyError) as error:
            raise MellaError(
                f"Cannot load the translation model {model!r}: {type(error).__name__}: {error}. "
                "Give a Hub id or a folder, such as facebook/nllb-200-3.3B or google/madlad400-3b-mt."
            ) from error
        kind = self._model.config.model_type
        if kind not in FAMILIES:
            raise MellaError(f"The model {model!r} is a {kind!r}; give one of {', '.join(FAMILIES)} (NLLB, MADLAD).")
        self.family = FAMILIES[kind]
        if device is None:
            device = str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"
        self._model.to(device).eval()
        self.name = model_name(model)
        self.version = f"{content_hash(model)[:12]} beams {beams} transformers {transformers.__version__}"

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate with beam search; "" for a text whose translation did not end, instead of half a text.

        Raises:
            MellaError: if the model does not know one of the languages.
        """
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        translations = [""] * len(texts)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            found = self._translate_batch([texts[i] for i in chosen], source, target)
            for i, translation in zip(chosen, found, strict=True):
                translations[i] = translation
        return translations

    def _translate_batch(self, texts: list[str], source: str, target: str) -> list[str]:
        import torch

        options: dict[str, Any] = {}
        if self.family == "nllb":
            self._tokenizer.src_lang = service_code("nllb", source)
            options["forced_bos_token_id"] = self._token(service_code("nllb", target))
        else:
            prefix = f"<2{service_code('madlad', target)}>"
            self._token(prefix)
            texts = [f"{prefix} {text}" for text in texts]
        inputs = self._tokenizer(texts, return_tensors="pt", padding=True).to(self._model.device)  # [B, S]
        limit = 2 * inputs["input_ids"].shape[1] + 32
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs, **options, num_beams=self._beams, do_sample=False, max_new_tokens=limit
            )  # [B, T]
        ended = (tokens[:, 1:] == self._tokenizer.eos_token_id).any(dim=1).tolist()  # NLLB begins with an end mark
        decoded = self._tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [text.strip() if whole else "" for text, whole in zip(decoded, ended, strict=True)]

    def _token(self, token: str) -> int:
        number = self._tokenizer.convert_tokens_to_ids(token)
        if number is None or number == self._tokenizer.unk_token_id:
            raise MellaError(
                f"The translation model {self.name!r} has no token {token!r} for the language; use another one."
            )
        return int(number)
