"""Writes tests/data/gguf/llama3: tiny LLaMAs with scaled positions and LLaMA 3's kind of vocabulary as GGUF, with goldens.

Development only; the tests read what is committed. Needs gguf 0.19.0, tokenizers 0.20.3, transformers 4.46.3, sentencepiece
0.2.3 (imported by tiny_gguf) and torch 1.13.0. Run: python scripts/tiny_gguf_llama3.py

- vocabulary: a byte-level BPE trained with LLaMA 3's pattern on the text of tiny_gguf; one word is a token that no merges
  give, which LLaMA 3's tokenizer takes whole. Ids are those of the tokenizers package.
- tiny-llama3.gguf: LLaMA 3's scaling as the tensor rope_freqs.weight, by the formula of llama.cpp's converter.
- tiny-linear.gguf: linear scaling as a key. Logits of both are transformers' in float64, from gguf's values.
"""

import json
import math

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from tiny_gguf import HEADS, INNER, KV_HEADS, LAYERS, LENGTH, OUT, PROBES, TEXT, WIDTH, close, logits, safetensors, weights

SEED = 20241124
FOLDER = OUT / "llama3"
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CONTROLS = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]
DEFINED = "<tool>"
WHOLE = "Ġregisterless"
THETA, CONTEXT = 10000.0, 64
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
LINEAR = {"rope_type": "linear", "factor": 4.0}

MORE = [
    "It's we'LL I'd they'RE", "1 12 123 1234 12345", "a  b   c    ", "one!\n\ntwo?\r\n three", " registerless register less",
    "<|begin_of_text|>again<|eot_id|>", "use <tool> here<tool>", "tail \n \n", "  \n\n\t x", "naïve—“quoted”…", "हिन्दी\nक़\n",
]


def vocabulary():
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    split = pre_tokenizers.Split(Regex(PATTERN), "isolated", False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=340, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    # So that there are tokens of several digits, and of a sign with newlines.
    tokenizer.train_from_iterator(TEXT.split("\n") + 9 * ["12 123 1234 12345 one!\n\ntwo?\r\n three"], trainer)
    state = json.loads(tokenizer.to_str())
    state["model"]["vocab"][WHOLE] = len(state["model"]["vocab"])
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.add_special_tokens(CONTROLS)
    tokenizer.add_tokens([AddedToken(DEFINED, normalized=False)])
    begin = tokenizer.token_to_id(CONTROLS[0])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{CONTROLS[0]} $A", special_tokens=[(CONTROLS[0], begin)])
    return tokenizer


def write_tokenizer(writer, tokenizer):
    state = json.loads(tokenizer.to_str())
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in state["model"]["merges"]]
    tokens = [tokenizer.id_to_token(id) for id in range(tokenizer.get_vocab_size())]
    kind = {**{token: gguf.TokenType.CONTROL for token in CONTROLS}, DEFINED: gguf.TokenType.USER_DEFINED}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([token.encode() for token in tokens])
    writer.add_token_types([kind.get(token, gguf.TokenType.NORMAL) for token in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokenizer.token_to_id(CONTROLS[0]))
    writer.add_eos_token_id(tokenizer.token_to_id(CONTROLS[1]))


def factors(scaling, head):
    """What llama.cpp's converter divides the frequencies by."""
    old, factor = scaling["original_max_position_embeddings"], scaling["factor"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    values = []
    for i in range(0, head, 2):
        wave = 2 * math.pi * THETA ** (i / head)
        if wave < old / high:
            values.append(1.0)
        elif wave > old / low:
            values.append(factor)
        else:
            smooth = (old / wave - low) / (high - low)
            values.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(values, dtype=np.float32)


def tiny_llama(name, scaling, number, tokenizer, versions):
    rng = np.random.default_rng([SEED, number])
    writer = gguf.GGUFWriter(FOLDER / f"{name}.gguf", "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(THETA)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    write_tokenizer(writer, tokenizer)
    if scaling["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    else:
        writer.add_tensor("rope_freqs.weight", factors(scaling, WIDTH // HEADS))
    values = {}
    for tensor, value in weights(rng, tokenizer.get_vocab_size(), True).items():
        stored = Type.F32 if value.ndim == 1 else Type.Q8_0
        data = gguf.quants.quantize(value, stored)
        writer.add_tensor(tensor, data, raw_dtype=stored)
        values[tensor] = gguf.quants.dequantize(data, stored).reshape(value.shape)
    close(writer)
    ids = rng.integers(0, tokenizer.get_vocab_size(), (2, LENGTH), dtype=np.int32)
    golden = {"input_ids": ids, "logits": logits(values, ids, True, rope_theta=THETA, rope_scaling=scaling)}
    plain = logits(values, ids, True, rope_theta=THETA)
    print(name, "without the scaling logits differ by", np.abs(plain - golden["logits"]).max())
    safetensors(FOLDER / f"{name}.golden.safetensors", golden, versions)


def tokenization(tokenizer):
    cases = []
    for text in PROBES + MORE:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        special = tokenizer.encode(text).ids
        cases.append({"text": text, "ids": ids, "ids_with_special": special, "decoded": tokenizer.decode(ids)})
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (FOLDER / "tokenization.json").write_text(f"[\n{lines}\n]\n")


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    from importlib.metadata import version
    versions = {package: version(package) for package in ("gguf", "numpy", "tokenizers", "transformers")}
    versions |= {"torch": torch.__version__, "seed": str(SEED)}
    tokenizer = vocabulary()
    tokenization(tokenizer)
    tiny_llama("tiny-llama3", LLAMA3, 0, tokenizer, versions)
    tiny_llama("tiny-linear", LINEAR, 1, tokenizer, versions)
    print(json.dumps(versions))


if __name__ == "__main__":
    main()
