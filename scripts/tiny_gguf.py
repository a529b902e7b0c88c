"""Writes tests/data/gguf: tiny seeded GGUF files, and what the public reference implementations make of them.

Development only; the tests read what is committed. Needs gguf 0.19.0, sentencepiece 0.2.3, transformers 4.40.2 and
torch 1.13.0. Run: python scripts/tiny_gguf.py

- tokenizer: a SentencePiece BPE of 320 pieces with byte fallback, trained on the text below; ids are sentencepiece's.
- tiny-TYPE.gguf: a LLaMA of two blocks with that vocabulary, quantised by gguf; values are gguf's, logits transformers'
  (in float64, from gguf's values).
- types.gguf: one tensor of seeded random blocks of each type, scales finite; values are gguf's.
"""

import json
import pathlib
import struct
import tempfile

import gguf
import numpy as np
import sentencepiece
import torch
import transformers
from gguf import GGMLQuantizationType as Type

SEED = 20240611
OUT = pathlib.Path(__file__).parent.parent / "tests/data/gguf"
WIDTH, INNER, LAYERS, HEADS, KV_HEADS, LENGTH = 32, 64, 2, 4, 2, 12

TEXT = """The model reads a line and writes the next token. A format stores a number in a few bits, and a block of
numbers shares one scale. The scale of a block is the largest exponent in it. When the scale is shared the small numbers
lose bits and the large numbers keep theirs. A matrix unit multiplies the numbers of two blocks, adds the products and
rounds the sum once. The sum of many products needs a wide register; a narrow register loses the low bits of the sum."""

PROBES = [
    "", " ", "The scale of a block", "the the  the   the", " leading and trailing ", "numbers\nand\tnewlines\r\n",
    "Größe, naïve, 数, 😀!", "<s>not a token</s>", "a<sep>b <sep> c", "▁", "<0x41>", "aaaaaaaaaaaaaaaa", "sssssums of sums",
    "unseenwords 0123456789", "tab\tnul\0end", "mat" * 40,
]

# Where each block type keeps its binary16 numbers; the other bytes are random.
HALVES = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0], Type.Q2_K: [80, 82],
    Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208],
}


def safetensors(path, tensors, metadata):
    """The file format is a header of names and offsets; float32 and int32 are all that is needed here."""
    header, data = {"__metadata__": metadata}, b""
    for name, array in tensors.items():
        array = np.ascontiguousarray(array)
        dtype = {"float32": "F32", "int32": "I32"}[str(array.dtype)]
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def vocabulary():
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder) / "text"
        text.write_text(TEXT.replace("\n", " ").replace(". ", ".\n"))
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=f"{folder}/m", model_type="bpe", vocab_size=320, byte_fallback=True,
            normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
            user_defined_symbols=["<sep>"], num_threads=1, minloglevel=2)
        return sentencepiece.SentencePieceProcessor(model_file=f"{folder}/m.model")


def token_type(pieces, id):
    kinds = [(pieces.is_unknown, gguf.TokenType.UNKNOWN), (pieces.is_control, gguf.TokenType.CONTROL),
             (pieces.is_byte, gguf.TokenType.BYTE)]
    if pieces.id_to_piece(id) == "<sep>":
        return gguf.TokenType.USER_DEFINED
    return next((kind for test, kind in kinds if test(id)), gguf.TokenType.NORMAL)


def write_tokenizer(writer, pieces):
    ids = range(pieces.get_piece_size())
    writer.add_tokenizer_model("llama")
    writer.add_token_list([pieces.id_to_piece(id).encode() for id in ids])
    writer.add_token_scores([pieces.get_score(id) for id in ids])
    writer.add_token_types([token_type(pieces, id) for id in ids])
    writer.add_bos_token_id(pieces.bos_id())
    writer.add_eos_token_id(pieces.eos_id())
    writer.add_unk_token_id(pieces.unk_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def weights(rng, vocabulary_size, tied):
    """GGUF names to float32, in the order of a file; query and key rows are in GGUF's order already."""
    head = WIDTH // HEADS
    shapes = {"token_embd": (vocabulary_size, WIDTH)}
    for i in range(LAYERS):
        shapes |= {f"blk.{i}.attn_norm": (WIDTH,), f"blk.{i}.attn_q": (WIDTH, WIDTH),
                   f"blk.{i}.attn_k": (KV_HEADS * head, WIDTH), f"blk.{i}.attn_v": (KV_HEADS * head, WIDTH),
                   f"blk.{i}.attn_output": (WIDTH, WIDTH), f"blk.{i}.ffn_norm": (WIDTH,),
                   f"blk.{i}.ffn_gate": (INNER, WIDTH), f"blk.{i}.ffn_up": (INNER, WIDTH),
                   f"blk.{i}.ffn_down": (WIDTH, INNER)}
    shapes |= {"output_norm": (WIDTH,)} | ({} if tied else {"output": (vocabulary_size, WIDTH)})
    values = {}
    for name, shape in shapes.items():
        normal = rng.standard_normal(shape)
        values[name + ".weight"] = (1 + normal / 4 if len(shape) == 1 else normal / 5).astype(np.float32)
    return values


def halves(rows, heads):
    """GGUF pairs adjacent rows of a head for the rotation, transformers row i with row i + half."""
    adjacent = rows.reshape(heads, -1, 2, rows.shape[1])
    return adjacent.swapaxes(1, 2).reshape(rows.shape)


def logits(values, ids, tied, **more):
    names = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
             "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
    state = {}
    for name, value in values.items():
        parts = name.split(".")
        if parts[0] == "blk":
            if parts[2] in ("attn_q", "attn_k"):
                value = halves(value, HEADS if parts[2] == "attn_q" else KV_HEADS)
            key = f"model.layers.{parts[1]}.{names[parts[2]]}.weight"
        else:
            key = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}[parts[0]] + ".weight"
        state[key] = torch.tensor(value, dtype=torch.float64)
    state.setdefault("lm_head.weight", state["model.embed_tokens.weight"])
    config = transformers.LlamaConfig(
        vocab_size=state["lm_head.weight"].shape[0], hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, max_position_embeddings=64, rms_norm_eps=1e-5,
        tie_word_embeddings=tied, **more)
    model = transformers.LlamaForCausalLM(config).double().eval()
    model.load_state_dict(state)
    with torch.no_grad():
        return model(torch.tensor(ids, dtype=torch.int64)).logits.numpy().astype(np.float32)


def tiny_llama(kind, tied, pieces, versions):
    rng = np.random.default_rng([SEED, kind.value])
    name = f"tiny-{kind.name.lower()}"
    writer = gguf.GGUFWriter(OUT / f"{name}.gguf", "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    write_tokenizer(writer, pieces)
    values = {}
    for tensor, value in weights(rng, pieces.get_piece_size(), tied).items():
        stored = Type.F32 if value.ndim == 1 else kind
        data = gguf.quants.quantize(value, stored)
        writer.add_tensor(tensor, data, raw_dtype=stored)
        values[tensor] = gguf.quants.dequantize(data, stored).reshape(value.shape)
    close(writer)
    ids = rng.integers(0, pieces.get_piece_size(), (2, LENGTH), dtype=np.int32)
    golden = {"input_ids": ids, "logits": logits(values, ids, tied)} | {k: v for k, v in values.items() if v.ndim > 1}
    safetensors(OUT / f"{name}.golden.safetensors", golden, versions)


def random_blocks(rng, kind):
    size, length = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (1024 // size, length), dtype=np.uint8)
    for at in HALVES.get(kind, []):
        scales = rng.standard_normal(len(blocks)).astype(np.float16)
        # One subnormal, one negative zero.
        scales[0], scales[-1] = np.float16(3e-7), np.float16(-0.0)
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(2, -1)


def types(versions):
    rng = np.random.default_rng([SEED, 99])
    writer = gguf.GGUFWriter(OUT / "types.gguf", "llama")
    golden = {}
    for kind in HALVES:
        blocks = random_blocks(rng, kind)
        writer.add_tensor(kind.name, blocks, raw_dtype=kind)
        golden[kind.name] = gguf.quants.dequantize(blocks, kind)
    numbers = rng.standard_normal((2, 512)).astype(np.float32)
    for kind in (Type.F32, Type.F16, Type.BF16):
        data = gguf.quants.quantize(numbers, kind)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        golden[kind.name] = gguf.quants.dequantize(data, kind)
    close(writer)
    safetensors(OUT / "types.golden.safetensors", golden, versions)


def tokenization(pieces):
    cases = []
    for text in PROBES:
        ids = pieces.encode(text)
        cases.append({"text": text, "ids": ids, "ids_with_special": [pieces.bos_id()] + ids, "decoded": pieces.decode(ids)})
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (OUT / "tokenization.json").write_text(f"[\n{lines}\n]\n")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    from importlib.metadata import version
    versions = {package: version(package) for package in ("gguf", "numpy", "sentencepiece", "transformers")}
    versions |= {"torch": torch.__version__, "seed": str(SEED)}
    pieces = vocabulary()
    tokenization(pieces)
    for kind, tied in ((Type.Q4_0, False), (Type.Q5_0, True), (Type.Q5_1, False), (Type.Q8_0, True)):
        tiny_llama(kind, tied, pieces, versions)
    types(versions)
    print(json.dumps(versions))


if __name__ == "__main__":
    main()
