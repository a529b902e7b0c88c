"""Tiny seeded checkpoints with what the reference implementation computes from them.

Writes tests/data/zoo/NAME/{config.json, model.safetensors or pytorch_model.bin, golden.safetensors} for the architectures and options that no other
reference covers. The configuration holds only the keys given here, so that defaults are tested too.

Usage: python scripts/tiny_checkpoints.py [FOLDER]    (needs torch, transformers, safetensors; see scripts/README.md)
"""

import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file

SEED = 20240529

LLAMA = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
}

# Name: (class, configuration, stored type, tokens a sequence).
CHECKPOINTS = {
    # OPT-350m's layout: norms after the branches, none before the head, projected embeddings.
    "opt-post-ln": (transformers.OPTForCausalLM, {
        "model_type": "opt", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "ffn_dim": 64,
        "num_attention_heads": 4, "max_position_embeddings": 32, "do_layer_norm_before": False, "word_embed_proj_dim": 16,
        "_remove_final_layer_norm": False,
    }, torch.float32, 20),
    # LLaMA 3's: grouped keys and values, tied head. With heads of 8 the four wavelengths (6.3, 167, 4443, 118143 positions)
    # are below 32, between 32 and 256, and twice above: kept, blended, divided.
    "llama3-gqa": (transformers.LlamaForCausalLM, {
        "model_type": "llama", **LLAMA, "max_position_embeddings": 512, "rope_theta": 500000.0,
        "rope_scaling": {
            "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 8.0, "original_max_position_embeddings": 256,
            "rope_type": "llama3",
        },
        "tie_word_embeddings": True,
    }, torch.bfloat16, 48),
    # The older spelling of the key, and heads that are wider than hidden_size / heads.
    "llama-linear": (transformers.LlamaForCausalLM, {
        "model_type": "llama", **LLAMA, "head_dim": 12, "rope_scaling": {"type": "linear", "factor": 4.0},
    }, torch.float32, 24),
    # A window far shorter than the sequence.
    "mistral": (transformers.MistralForCausalLM, {
        "model_type": "mistral", **LLAMA, "sliding_window": 5,
    }, torch.float32, 20),
    # Biased queries, keys and values; the window that such configurations name and switch off.
    "qwen2": (transformers.Qwen2ForCausalLM, {
        "model_type": "qwen2", **LLAMA, "rope_theta": 1000000.0, "sliding_window": 4, "use_sliding_window": False,
        "max_window_layers": 2, "tie_word_embeddings": True,
    }, torch.bfloat16, 20),
    # Biases everywhere, in the older form of a folder: torch's file, which keeps the tied head as a second view of one storage.
    "llama-biased-bin": (transformers.LlamaForCausalLM, {
        "model_type": "llama", **LLAMA, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True,
    }, torch.float16, 20),
}

# Those that are stored as pytorch_model.bin.
TORCH_FILES = {"llama-biased-bin"}


def randomise(model):
    """Weights large enough for logits of deviation about 1; norms and biases random, so that a forgotten one is seen."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape)
        if parameter.dim() == 1:
            parameter.data = noise * 0.2 + (1.0 if name.endswith("weight") else 0.0)
        elif "embed" in name:
            parameter.data = noise * 0.5
        else:
            parameter.data = noise * 1.2 / parameter.shape[1] ** 0.5


def blocks(model):
    """The list of blocks, wherever the architecture keeps it."""
    inner = model.model
    return getattr(inner, "decoder", inner).layers


def run(model, ids):
    """Logits, and the input of the first block with the output of each, before any last norm."""
    states = []
    hooks = [blocks(model)[0].register_forward_pre_hook(lambda _, x: states.append(x[0]))]
    hooks += [block.register_forward_hook(lambda _, __, y: states.append(y[0])) for block in blocks(model)]
    with torch.no_grad():
        logits = model(ids, use_cache=False).logits
    for hook in hooks:
        hook.remove()
    return logits, torch.stack(states)


def write(folder, number, kind, config, stored, length):
    torch.manual_seed(SEED + number)
    built = kind.config_class.from_dict(config, attn_implementation="eager")
    model = kind(built).eval()
    randomise(model)
    # What is stored is what is computed with; buffers such as rotary frequencies are not stored and keep their precision.
    for parameter in model.parameters():
        parameter.data = parameter.data.to(stored).float()
    ids = torch.randint(0, config["vocab_size"], (2, length))
    logits, states = run(model, ids)
    torch.set_default_dtype(torch.float64)
    noise = (run(model.double(), ids)[0] - logits).abs().max().item()
    torch.set_default_dtype(torch.float32)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tensors = {n: t.detach().to(stored).contiguous() for n, t in model.named_parameters()}
    if folder.name in TORCH_FILES:
        stored_file = "pytorch_model.bin"
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
        torch.save(tensors, folder / stored_file)
    else:
        stored_file = "model.safetensors"
        save_file(tensors, folder / stored_file, {"format": "pt"})
    golden = {"input_ids": ids.int(), "logits": logits, "hidden_states": states}
    about = {
        "layout": "input_ids [2,T]; logits [2,T,V]; hidden_states [layers+1,2,T,D]: input of the first block, then the output of "
        "each, before any last norm",
        "computed_in": "float32", "torch": torch.__version__, "transformers": transformers.__version__, "seed": str(SEED + number),
        "max_abs_logits_difference_to_float64": f"{noise:.2e}",
    }
    # One entry, because safetensors writes several in random order.
    about = {"about": json.dumps(about)}
    save_file({n: t.contiguous() for n, t in golden.items()}, folder / "golden.safetensors", about)
    sizes = [(folder / f).stat().st_size for f in (stored_file, "golden.safetensors")]
    print(f"{folder.name}: logits deviate by {logits.std():.2f}, noise {noise:.1e}, {sizes} bytes")


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/data/zoo")
    for number, (name, (kind, config, stored, length)) in enumerate(CHECKPOINTS.items()):
        write(root / name, number, kind, config, stored, length)


if __name__ == "__main__":
    main()
