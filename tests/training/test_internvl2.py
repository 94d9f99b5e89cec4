"""A converted InternVL2 answers as the original does: logits, token ids, tiles; and what does not fit is refused."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from internvl2_original import build_checkpoint, internvl2
from local_hub import LocalHub
from typer.testing import CliRunner

from mella_hf.errors import MellaError
from mella_hf.training.internvl2.convert import convert_internvl2

TOLERANCE = 2e-5  # float32, logits up to 4; summed in another order
SHARD = "model-00002-of-00003.safetensors"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random checkpoint in the original layout; its code ends the process when it is run."""
    return build_checkpoint(tmp_path_factory.mktemp("internvl2") / "source")


@pytest.fixture(scope="module")
def converted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert_internvl2(source, tmp_path_factory.mktemp("converted") / "model", progress=False)


@pytest.fixture(scope="module")
def model(converted: Path) -> Any:
    from transformers import AutoModelForImageTextToText

    model, info = AutoModelForImageTextToText.from_pretrained(converted, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    return model.eval()


@pytest.fixture(scope="module")
def processor(converted: Path) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(converted)


@pytest.fixture
def weights(source: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {name: tensor for path in source.glob("*.safetensors") for name, tensor in load_file(path).items()}


@pytest.fixture
def broken(source: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint to damage."""
    return Path(shutil.copytree(source, tmp_path / "source"))


# The longest position is 64: beyond it the rotary base grows with the sequence.
@pytest.mark.parametrize("length", [40, 64, 65, 150])
def test_logits_of_text(model: Any, weights: dict[str, Any], length: int) -> None:
    import torch

    ids = [5 + 7 * i % 800 for i in range(length)]
    expected = internvl2(weights, ids, context_id=-1)
    with torch.no_grad():
        assert (model(input_ids=torch.tensor([ids])).logits[0] - expected).abs().max() < TOLERANCE
    assert expected.abs().max() > 1


def test_logits_of_an_image(model: Any, processor: Any, weights: dict[str, Any]) -> None:
    import torch
    from PIL import Image

    image = Image.effect_noise((120, 70), 80).convert("RGB")
    inputs = chat(processor, image, "صف هذه الصورة")
    assert inputs["pixel_values"].shape == (7, 3, 56, 56)  # 120 : 70 is nearest to 2 : 1, or 3 x 2 with the tie rule
    expected = internvl2(weights, inputs["input_ids"][0].tolist(), processor.image_token_id, inputs["pixel_values"])
    with torch.no_grad():
        assert (model(**inputs).logits[0] - expected).abs().max() < TOLERANCE
        without = model(input_ids=inputs["input_ids"]).logits[0]
    assert (without - expected).abs().max() > 0.1, "the image matters"


def chat(processor: Any, image: Any, text: str) -> Any:
    turn = {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": text}]}
    return processor.apply_chat_template(
        [turn], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )


def test_the_chat_format_is_the_original_one(processor: Any) -> None:
    """conversation.py of OpenGVLab/InternVL2-8B, template "internlm2-chat": no newline after <|im_end|>."""
    turns = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
    ]
    system = (
        "<|im_start|>system\n"
        "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
        "<|im_end|>"
    )
    question = "<|im_start|>user\n<IMG_CONTEXT>\nWhat is this?<|im_end|>"
    assert processor.apply_chat_template(turns) == (f"<s>{system}{question}<|im_start|>assistant\nA cat.<|im_end|>")
    assert processor.apply_chat_template(turns[:1], add_generation_prompt=True) == (
        f"<s>{system}{question}<|im_start|>assistant\n"
    )
    assert processor.apply_chat_template([{"role": "system", "content": "Be brief."}]) == (
        "<s><|im_start|>system\nBe brief.<|im_end|>"
    )


def test_one_bos_however_it_is_tokenized(processor: Any) -> None:
    from PIL import Image

    ids = chat(processor, Image.new("RGB", (56, 56)), "ما هذا؟")["input_ids"][0].tolist()
    assert ids[0] == 1 and ids.count(1) == 1
    assert processor.tokenizer("ما هذا؟")["input_ids"][0] == 1, "as the original tokenizer"


def test_token_ids_are_the_original_ones(source: Path, processor: Any) -> None:
    import sentencepiece
    from hypothesis import given, settings
    from hypothesis import strategies as st

    model = sentencepiece.SentencePieceProcessor(model_file=str(source / "tokenizer.model"))
    texts = [
        "صف هذه الصورة بالتفصيل",
        "ภาพนี้มีอะไร",
        "Мăръ  два   пробела ",
        " vodič 123 456",
        "\n\n\t x",
        "😀한국어漢字",
        "",
    ]

    def check(text: str) -> None:
        ids = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids == model.encode(text), text

    for text in texts:
        check(text)
        ids = model.encode(text)
        assert processor.tokenizer.decode(ids) == text == model.decode(ids)
    alphabet = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
    settings(max_examples=150, deadline=None)(given(st.text(alphabet, max_size=30))(check))()


def test_added_tokens_keep_their_ids_and_every_id_has_an_embedding(source: Path, processor: Any, model: Any) -> None:
    tokenizer = processor.tokenizer
    entries = json.loads((source / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    assert {i: tokenizer.convert_ids_to_tokens(int(i)) for i in entries} == {
        i: entry["content"] for i, entry in entries.items()
    }
    assert len(tokenizer) == model.config.text_config.vocab_size
    assert (processor.image_token, processor.image_token_id) == ("<IMG_CONTEXT>", 902)
    assert (processor.start_image_token_id, processor.end_image_token_id) == (900, 901)
    ids = tokenizer("a<|im_end|>b<img>", add_special_tokens=False)["input_ids"]
    assert ids[1] == tokenizer.convert_tokens_to_ids("<|im_end|>") and ids[-1] == 900
    assert tokenizer.decode(ids, skip_special_tokens=True) == "ab"


def test_generation_stops_where_the_original_does(model: Any, processor: Any) -> None:
    tokens = processor.tokenizer.convert_ids_to_tokens(model.generation_config.eos_token_id)
    assert tokens == ["</s>", "<|im_start|>", "<|im_end|>"]


def original_tiles(width: int, height: int, most: int, side: int) -> int:
    """`dynamic_preprocess` of the InternVL repository, with its thumbnail."""
    ratios = sorted(
        {(i, j) for i in range(1, most + 1) for j in range(1, most + 1) if i * j <= most}, key=lambda r: r[0] * r[1]
    )
    best, nearest = (1, 1), float("inf")
    for ratio in ratios:
        distance = abs(width / height - ratio[0] / ratio[1])
        if distance < nearest or (distance == nearest and width * height > 0.5 * side * side * ratio[0] * ratio[1]):
            best, nearest = ratio, distance
    blocks = best[0] * best[1]
    return blocks + 1 if blocks != 1 else 1


@pytest.mark.parametrize("most", [6, 12, 1])
def test_tiles_are_the_original_ones(converted: Path, most: int) -> None:
    from PIL import Image
    from transformers import AutoProcessor

    from mella_hf.training.batches.chat import image_tokens

    changes = {} if most == 6 else {"max_patches": most}  # six and a thumbnail by default, as in the paper
    processor = AutoProcessor.from_pretrained(converted, **changes)
    sizes = [(56, 56), (120, 70), (400, 100), (100, 400), (640, 480), (480, 640), (30, 20), (300, 300)]
    expected = [original_tiles(width, height, most, 56) for width, height in sizes]
    assert max(expected) == {6: 7, 12: 13, 1: 1}[most]
    real = [len(chat(processor, Image.new("RGB", size), "x")["pixel_values"]) for size in sizes]
    assert real == expected
    # (56 / 14)² patches merged two by two are four tokens a tile; <img> and </img> around them.
    assert image_tokens(processor, [(h, w) for w, h in sizes]) == [4 * tiles + 2 for tiles in expected]


def test_an_interrupted_run_goes_on_and_a_finished_one_does_nothing(
    source: Path, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    save, saved = safetensors.torch.save_file, []

    def save_or_die(tensors: Any, path: Path, **options: Any) -> None:
        save(tensors, path, **options)
        saved.append(Path(path).name)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(safetensors.torch, "save_file", save_or_die)
    out = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        convert_internvl2(source, out, progress=False)
    assert not out.exists()
    convert_internvl2(source, out, progress=False)
    assert saved == [f".model-0000{i}-of-00003.safetensors.tmp" for i in (1, 2, 2, 3)]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in converted.iterdir()
    }
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    said: list[str] = []
    convert_internvl2(source, out, progress=False, say=said.append)
    assert len(saved) == 4 and said == [f"{out} is converted already."]
    with pytest.raises(MellaError, match="exists; remove it, or name another folder"):
        convert_internvl2(source, out, max_patches=12)


def test_the_command_says_what_it_refuses(source: Path, tmp_path: Path) -> None:
    from mella_hf.cli import app

    runner = CliRunner()
    result = runner.invoke(app, ["convert-internvl2", str(source), str(tmp_path / "out"), "--max-patches", "12"])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out/processor_config.json").read_text())["image_processor"]["max_patches"] == 12
    result = runner.invoke(app, ["convert-internvl2", str(tmp_path), str(tmp_path / "other")])
    assert isinstance(result.exception, MellaError) and "has no config.json" in str(result.exception)


def test_from_the_hub_it_takes_no_code(source: Path, converted: Path, tmp_path: Path) -> None:
    with LocalHub(tmp_path / "hub") as hub:
        code = (
            "from huggingface_hub import HfApi\n"
            "from mella_hf.training.internvl2.convert import convert_internvl2\n"
            "HfApi().create_repo('OpenGVLab/InternVL2-8B')\n"
            f"HfApi().upload_folder(repo_id='OpenGVLab/InternVL2-8B', folder_path={str(source)!r})\n"
            f"convert_internvl2('OpenGVLab/InternVL2-8B', {str(tmp_path / 'out')!r})\n"
        )
        settings = {**os.environ, **hub.environment(tmp_path / "home")}
        subprocess.run([sys.executable, "-c", code], env=settings, check=True)
        assert hub.counted(r"GET .*/resolve/.*/model-00001-of-00003.safetensors") == 1
        assert hub.counted(r"(GET|HEAD) .*\.py") == 0
        repo = hub.repos["models/OpenGVLab/InternVL2-8B"]
        repo.refs["v1"] = repo.refs["main"]
        (tmp_path / "later").mkdir()
        (tmp_path / "later/config.json").write_text("{}")
        hub.add("models/OpenGVLab/InternVL2-8B", tmp_path / "later")  # main is broken now, v1 is not
        for words, status in ((["--revision", "v1"], 0), ([], 1)):
            command = ["mella_hf", "convert-internvl2", "OpenGVLab/InternVL2-8B", str(tmp_path / "tagged"), *words]
            done = subprocess.run([sys.executable, "-m", *command], env=settings, capture_output=True, text=True)
            assert done.returncode == status, done.stderr
    assert (tmp_path / "tagged/config.json").read_bytes() == (converted / "config.json").read_bytes()
    name = "model-00001-of-00003.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (converted / name).read_bytes()


def edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(model_type="qwen2_vl"), "model_type 'qwen2_vl', but only 'internvl_chat' can be converted"),
        (lambda c: c.update(ps_version="v1"), "ps_version 'v1', but only 'v2'"),
        (
            lambda c: c["llm_config"].update(architectures=["Qwen2ForCausalLM"]),
            "The language model is Qwen2ForCausalLM",
        ),
        (
            lambda c: c["llm_config"].pop("rms_norm_eps"),
            "config.json .* lacks 'llm_config.rms_norm_eps'",
        ),
        (lambda c: c.pop("vision_config"), "lacks 'vision_config'"),
        (
            lambda c: c["llm_config"].update(num_hidden_layers=3),
            r"9 missing \(model.language_model.layers.2.input_layernorm.weight, .* and 4 more\)",
        ),
        (
            lambda c: c["llm_config"].update(num_hidden_layers=1),
            r"9 unexpected \(model.language_model.layers.1.",
        ),
        (
            lambda c: c["llm_config"].update(intermediate_size=100),
            r"6 of another shape \(model.language_model.layers.0.mlp.\w+.weight is \[96, 64\], not \[100, 64\]",
        ),
    ],
)
def test_a_configuration_that_does_not_fit(broken: Path, tmp_path: Path, change: Any, message: str) -> None:
    edit(broken / "config.json", change)
    with pytest.raises(MellaError, match=message):
        convert_internvl2(broken, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists() and not (tmp_path / ".out.partial").exists()


def test_a_parameter_of_no_known_name(broken: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(broken / SHARD)
    save_file({**tensors, "language_model.model.layers.0.lora_A": next(iter(tensors.values())).clone()}, broken / SHARD)
    with pytest.raises(MellaError, match=r"1 unexpected \(language_model.model.layers.0.lora_A\)"):
        convert_internvl2(broken, tmp_path / "out")


def test_weights_that_cannot_be_read(broken: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (broken / SHARD).write_bytes((broken / SHARD).read_bytes()[:-100])
    with pytest.raises(MellaError, match=f"{SHARD} is not a complete safetensors file"):
        convert_internvl2(broken, out)
    (broken / SHARD).unlink()
    with pytest.raises(MellaError, match=rf"lacks {SHARD} \(1 of 3 files\)"):
        convert_internvl2(broken, out)
    for path in [*broken.glob("*.safetensors"), broken / "model.safetensors.index.json"]:
        path.unlink()
    (broken / "pytorch_model-00001-of-00002.bin").write_bytes(b"pickle")
    with pytest.raises(
        MellaError, match=r"is pickled \(pytorch_model-00001-of-00002.bin\), and loading that could run"
    ):
        convert_internvl2(broken, out)


def test_a_tokenizer_that_does_not_fit(broken: Path, tmp_path: Path) -> None:
    config, model = broken / "tokenizer_config.json", broken / "tokenizer.model"
    whole = config.read_text()
    edit(config, lambda c: c["added_tokens_decoder"].pop("902"))
    with pytest.raises(MellaError, match=r"gives '<quad>' the id 903, but it would get 902"):
        convert_internvl2(broken, tmp_path / "out")
    edit(config, lambda c: c.update(added_tokens_decoder={}))
    with pytest.raises(MellaError, match="has no added_tokens_decoder"):
        convert_internvl2(broken, tmp_path / "out")
    config.write_text(whole)
    model.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(MellaError, match="is not a sentencepiece model"):
        convert_internvl2(broken, tmp_path / "out")
    model.unlink()
    with pytest.raises(MellaError, match="The checkpoint has no tokenizer.model"):
        convert_internvl2(broken, tmp_path / "out")


INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("[]", "holds no JSON object, but list"),
        ("{}", "has no weight_map"),
        ('{"weight_map": ["a.safetensors"]}', "has no weight_map"),
        ('{"weight_map": {"a": 7}}', "has no weight_map"),
        ('{"weight_map": {"a": "../config.safetensors"}}', "names the file '../config.safetensors'; only .safetensors"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "names the file '/etc/passwd'"),
        ('{"weight_map": {"a": "one/m.safetensors", "b": "two/m.safetensors"}}', "names the file 'one/m.safetensors'"),
        ('{"weight_map": {"a": "pytorch_model.bin"}}', "names the file 'pytorch_model.bin'"),
        ('{"weight_map": {"a": "gone.safetensors"}}', "lacks gone.safetensors"),
        ('{"weight_map": {"a": "' + "a" * 5000 + '.safetensors"}}', "names the file 'aaa"),
        ('{"weight_map": {"a": "b.safetensors", "a": "c.safetensors"}}', "the key 'a' is there twice"),
        ('{"weight_map": {"a": "b\\u0000.safetensors"}}', "only .safetensors files beside it are read"),
        ("", "is not JSON"),
        ("[" * 200_000, "is not JSON"),
        ("\x80", "is not JSON"),
    ],
    ids=range(15),
)
def test_hostile_indexes_end_in_one_line(broken: Path, tmp_path: Path, index: str, message: str) -> None:
    (broken / INDEX).write_bytes(index.encode("latin-1"))
    with pytest.raises(MellaError, match=message) as caught:
        convert_internvl2(broken, tmp_path / "out")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert not (tmp_path / "out").exists()


def test_a_parameter_in_two_files_is_refused(broken: Path, tmp_path: Path) -> None:
    """Each would overwrite the other, and which one wins would depend on their names."""
    from safetensors.torch import load_file, save_file

    first, second = sorted(broken.glob("model-*.safetensors"))[:2]
    tensors = load_file(first)
    name = sorted(load_file(second))[0]
    save_file({**tensors, name: load_file(second)[name]}, first, metadata={"format": "pt"})
    with pytest.raises(MellaError, match=f"1 there twice .{name}"):
        convert_internvl2(broken, tmp_path / "out")


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("llm_config", "num_hidden_layers", 10**9),
        ("llm_config", "num_attention_heads", 0),
        ("llm_config", "vocab_size", "900"),
        ("vision_config", "patch_size", -14),
        ("vision_config", "hidden_size", True),
        ("llm_config", "hidden_size", [64]),
    ],
)
def test_sizes_that_no_model_has_are_refused(broken: Path, tmp_path: Path, part: str, key: str, value: Any) -> None:
    config = json.loads((broken / "config.json").read_text())
    config[part][key] = value
    (broken / "config.json").write_text(json.dumps(config))
    with pytest.raises(MellaError, match=f"config.json has {part}.{key} .*: Input should be"):
        convert_internvl2(broken, tmp_path / "out")


def rewrite(path: Path, change: Any) -> None:
    """Change the header of a safetensors file: 8 bytes of its length, JSON, then the numbers."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    first = next(name for name in header if name != "__metadata__")
    written = change(header, first)
    encoded = written if isinstance(written, bytes) else json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data[8 + length :])


def integers(header: dict[str, Any], first: str) -> None:
    header[first]["dtype"] = {"F32": "I32"}[header[first]["dtype"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header, first: header[first].update(data_offsets=[-8, 8]), "is not a complete safetensors file"),
        (lambda header, first: header[first].update(data_offsets=[8, 0]), "is not a complete safetensors file"),
        (lambda header, first: header[first].update(data_offsets=[0, 2**63]), "is not a complete safetensors file"),
        (lambda header, first: header[first].update(shape=[2**40, 2**40]), "is not a complete safetensors file"),
        (lambda header, first: header[first].update(dtype="F7"), "is not a complete safetensors file"),
        (lambda header, first: b"[" * 100_000, "is not a complete safetensors file"),
        (lambda header, first: b"{}", "is not a complete safetensors file"),
        (integers, r"1 no floating-point numbers \(language_model\S+ is I32\)"),
        (lambda header, first: header.update({f"{first}.more": header.pop(first)}), "1 unexpected .*3 missing"),
    ],
    ids=range(9),
)
def test_hostile_shards_end_in_one_line(broken: Path, tmp_path: Path, change: Any, message: str) -> None:
    rewrite(broken / SHARD, change)
    with pytest.raises(MellaError, match=message) as caught:
        convert_internvl2(broken, tmp_path / "out")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1500
    assert not (tmp_path / "out").exists() and not (tmp_path / ".out.partial").exists()


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 0, 1])
def test_a_header_that_is_longer_than_its_file(broken: Path, tmp_path: Path, length: int) -> None:
    (broken / SHARD).write_bytes(length.to_bytes(8, "little") + (broken / SHARD).read_bytes()[8:])
    with pytest.raises(MellaError, match=f"{SHARD} is not a complete safetensors file"):
        convert_internvl2(broken, tmp_path / "out")


def test_an_index_must_say_what_its_files_hold(broken: Path, tmp_path: Path) -> None:
    """A parameter that only the index has, one that the index does not have, and one that lies elsewhere."""
    whole = (broken / INDEX).read_text()
    name = json.loads(whole)["weight_map"]
    first = next(iter(name))
    other = next(file for file in name.values() if file != name[first])
    for change in (
        lambda index: index["weight_map"].update(more=SHARD),
        lambda index: index["weight_map"].pop(first),
        lambda index: index["weight_map"].update({first: other}),
    ):
        (broken / INDEX).write_text(whole)
        edit(broken / INDEX, change)
        with pytest.raises(MellaError, match=r": 1 in another file than the index says"):
            convert_internvl2(broken, tmp_path / "out")
    (broken / INDEX).write_text(whole)
    shutil.copy(broken / SHARD, broken / "model.safetensors")
    with pytest.raises(MellaError, match="has both model.safetensors and the files of"):
        convert_internvl2(broken, tmp_path / "out")


@pytest.mark.parametrize(
    ("file", "keys", "value"),
    [
        ("config.json", "downsample_ratio", None),
        ("config.json", "downsample_ratio", 0.3),
        ("config.json", "force_image_size", float("nan")),
        ("config.json", "force_image_size", 50),
        ("config.json", "torch_dtype", "bfloat17"),
        ("config.json", "llm_config.bias", "x"),
        ("config.json", "llm_config.hidden_act", "x"),
        ("config.json", "llm_config.rms_norm_eps", float("inf")),
        ("config.json", "llm_config.rope_theta", [1]),
        ("config.json", "llm_config.rope_scaling", "x"),
        ("config.json", "llm_config.rope_scaling.type", "yarn"),
        ("config.json", "llm_config.num_key_value_heads", 3),
        ("config.json", "vision_config.norm_type", {}),
        ("tokenizer_config.json", "added_tokens_decoder", "x"),
        ("tokenizer_config.json", "added_tokens_decoder", {"x": {"content": "a"}}),
        ("tokenizer_config.json", "added_tokens_decoder.0", []),
        ("tokenizer_config.json", "added_tokens_decoder.1.content", 1),
        ("tokenizer_config.json", "added_tokens_decoder.1.content", "other"),
        ("tokenizer_config.json", "model_max_length", -1),
    ],
)
def test_values_that_no_checkpoint_has(broken: Path, tmp_path: Path, file: str, keys: str, value: Any) -> None:
    content = json.loads((broken / file).read_text())
    *way, last = keys.split(".")
    place = content
    for key in way:
        place = place[key]
    place[last] = value
    (broken / file).write_text(json.dumps(content))
    with pytest.raises(MellaError, match=f"{file} has |The tokenizer has no token") as caught:
        convert_internvl2(broken, tmp_path / "out")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
