"""Models and tokenizers of others, made by the libraries that make them, small and with random weights."""

import json
from types import SimpleNamespace

import pytest
import tokenizers
import torch
import transformers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

from dozero.generate.language_model import LanguageModel
from dozero.model.hf import write_model_files
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig
from dozero.stories.tell import tell
from dozero.tokenizer.bpe import PATTERN
from dozero.tokenizer.tokenizer import train_bpe_tokenizer, train_char_tokenizer

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
BRACKETS = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SHAPES = {
    "Llama": {"qk_norm": False, "tie_embeddings": True},
    "Llama, heads wider together than the model": {"qk_norm": False, "head_dim": 16, "rope_theta": 5e5},
    "Qwen2": {"qk_norm": False, "attention_bias": True, "tie_embeddings": True, "rope_theta": 1e6},
    "Qwen3": {"norm_eps": 1e-5},
    "Qwen3, one head for all": {"n_kv_heads": 1, "head_dim": 16},
}
TEXTS = (
    "Era uma vez, em 2024, um gato chamado José: \"olá!\" d'água It's we'LL",
    "  two  spaces\tand\n\n lines \r\n end   ",
    "日本語 が 🙂👍🏽 ёж नमस्ते 12345 x=3.14;",
    "def f(x):\n    return {'a': x[0]}  # ok\n",
    "<|im_start|>user<|endoftext|>",
)
STORIES = [tell(lang, 2, n) for lang in ("pt", "en") for n in range(80)]


def _randomized(model, seed=0):
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            noise = torch.randn(p.shape, generator=random)
            p.copy_(noise * p.shape[1] ** -0.5 if p.ndim == 2 else 1 + 0.3 * noise)
    return model.eval()


def _pieces(style):
    """A tokenizer as Llama 2 has it: merges learned by the library, put together by transformers as it does now or did."""
    made = tokenizers.Tokenizer(models.BPE())
    made.normalizer = normalizers.Replace(" ", "▁")
    made.train_from_iterator(
        [word for story in STORIES for word in story.replace(" ", "  ").split(" ") if word and word.isalpha()],
        trainers.BpeTrainer(vocab_size=500, special_tokens=[], show_progress=False),
    )
    tree = json.loads(made.to_str())["model"]
    spaced = {name for name in tree["vocab"] if len(name) == 1}
    names = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), "▁", *tree["vocab"]]
    merges = [tuple(merge) for merge in tree["merges"]]
    for letter in sorted(spaced):  # words with the space before them, as SentencePiece learns them
        names.append("▁" + letter)
        merges.append(("▁", letter))
    vocab = {name: i for i, name in enumerate(dict.fromkeys(names))}
    whole = transformers.LlamaTokenizer(vocab=vocab, merges=merges)
    library = tokenizers.Tokenizer.from_str(whole.backend_tokenizer.to_str())
    if style == "pieces of old":
        library.pre_tokenizer = None
        library.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return library


def _library_tokenizer(style):
    """A tokenizer as the families have it, trained by the library on our stories."""
    if style.startswith("pieces"):
        return _pieces(style)
    made = tokenizers.Tokenizer(models.BPE(ignore_merges=style == "llama3"))
    bytes_alone = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = {
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2]),
        "qwen2": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PATTERN), "isolated"), bytes_alone]),
        "llama3": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), bytes_alone]),
        "gpt2": gpt2,
    }[style]
    made.decoder = decoders.ByteLevel()
    first = {"smollm": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "gpt2": ["<|endoftext|>"]}.get(style, [])
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=first, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator(STORIES, trainer)
    if style == "qwen2":
        made.normalizer = normalizers.NFC()
        made.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
        made.add_tokens([tokenizers.AddedToken("<think>", normalized=False, special=False)])
    if style == "llama3":
        made.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|im_end|>", "<|im_start|>"])
        begin = ("<|begin_of_text|>", made.token_to_id("<|begin_of_text|>"))
        made.post_processor = processors.Sequence(
            [processors.ByteLevel(trim_offsets=True), processors.TemplateProcessing(single=f"{begin[0]} $A", special_tokens=[begin])]
        )  # fmt: skip
    return made


def _write_tokenizer(style, folder, template=""):
    roles = {
        "smollm": {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"},
        "qwen2": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        "llama3": {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
        "gpt2": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
        "pieces": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
        "pieces of old": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    }[style]
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=_library_tokenizer(style), **roles)
    if template:
        fast.chat_template = template
    fast.save_pretrained(folder)
    return fast


def _write_model(kind, folder, vocab_size, **changes):
    """A model of transformers with random weights, saved in its own way; `changes` are those of its config."""
    base = {
        "vocab_size": vocab_size, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "head_dim": 8,
        "bos_token_id": None, "eos_token_id": None, "pad_token_id": None,
    }  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(**(base | changes))
    model = _randomized(getattr(transformers, f"{kind}ForCausalLM")(config))
    model.save_pretrained(folder)
    return model


@pytest.fixture(scope="session")
def others():
    """What makes tokenizers and models of others: their styles, shapes, templates and texts, and functions that write."""
    return SimpleNamespace(
        write_tokenizer=_write_tokenizer, write_model=_write_model, randomized=_randomized, shapes=SHAPES, texts=TEXTS,
        stories=STORIES, styles=("smollm", "qwen2", "llama3", "gpt2", "pieces", "pieces of old"), chatml=CHATML, brackets=BRACKETS,
    )  # fmt: skip


@pytest.fixture(scope="session", params=["Llama", "Qwen2", "Qwen3"])
def folder_of_others(request, tmp_path_factory):
    """A folder of transformers with weights and tokenizer, in reading only; `.model` and `.tokenizer` are theirs."""
    style, template = {"Llama": ("smollm", CHATML), "Qwen2": ("qwen2", CHATML), "Qwen3": ("llama3", BRACKETS)}[
        request.param
    ]
    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = _write_tokenizer(style, folder, template)
    rows = -(-len(tokenizer) // 64) * 64 if style == "qwen2" else len(tokenizer)
    model = _write_model(request.param, folder, rows, tie_word_embeddings=request.param != "Qwen3")
    return SimpleNamespace(path=folder, model=model, tokenizer=tokenizer, kind=request.param)


@pytest.fixture(scope="session")
def ours():
    """What makes models of our own with random weights: by shape and kind of tokenizer."""
    kinds = {"char": train_char_tokenizer(["coração", "mãe", "日本", "a b."]), "bpe": train_bpe_tokenizer(STORIES, 500)}
    base = {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "head_dim": 8, "d_ff": 64, "max_seq_len": 64}

    def make(kind="bpe", seed=0, **changes):
        tokenizer = kinds[kind]
        model = _randomized(Transformer(ModelConfig(**(base | changes)), tokenizer.vocab_size), seed)
        return LanguageModel(model, tokenizer)

    return make


@pytest.fixture
def write_ours(ours, tmp_path):
    """A function that writes a model of our own and returns its folder."""

    def write(**changes):
        made = ours(**changes)
        folder = tmp_path / "model"
        folder.mkdir()
        write_model_files(made.model, made.tokenizer, folder)
        return folder

    return write
