"""Writes the tiny vision checkpoints, torch files and goldens under tests/data/zoo; see scripts/README.md.

Everything follows from the seeds below. Goldens are what the public implementations compute in float32 on a CPU.
"""

import argparse
import json
import pathlib

import numpy
import torch
import transformers
from safetensors.numpy import save_file

ZOO = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "zoo"
SEED = 20240520


def randomise(model):
    """Draws every parameter so that each layer matters for the logits."""
    generator = torch.Generator().manual_seed(SEED)
    for name, parameter in model.named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        if name.endswith("layernorm.weight") or "layernorm_" in name and name.endswith("weight"):
            parameter.data = 1 + 0.2 * drawn
        elif parameter.dim() == 1 or "token" in name or "position" in name:
            parameter.data = 0.2 * drawn
        else:
            parameter.data = drawn * 1.5 / parameter[0].numel() ** 0.5
    return model.eval()


def arrays(tensors):
    return {name: numpy.array(t.detach().numpy(), order="C") for name, t in tensors.items()}


def write(folder, tensors, config, golden):
    folder.mkdir(parents=True, exist_ok=True)
    versions = {"transformers": transformers.__version__, "torch": torch.__version__, "seed": str(SEED)}
    save_file(arrays(tensors), folder / "model.safetensors", {"format": "pt"})
    save_file(arrays(golden), folder / "golden.safetensors", versions)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def deit(heads):
    """A DeiT of two blocks, with the head of fine-tuning or with the two heads of distillation."""
    config = transformers.DeiTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=32, patch_size=8,
        num_labels=10, qkv_bias=True,
    )
    classes = {1: transformers.DeiTForImageClassification, 2: transformers.DeiTForImageClassificationWithTeacher}
    model = randomise(classes[heads](config))
    pixels = torch.randn((2, 3, 32, 32), generator=torch.Generator().manual_seed(SEED + 1))
    with torch.no_grad():
        output = model(pixels, output_hidden_states=True)
    golden = {
        "pixel_values": pixels,
        "logits": output.logits,
        # The input of the first block and the output of each, before the last norm.
        "hidden_states": torch.stack(output.hidden_states),
    }
    keep = ["model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "image_size"]
    keep += ["patch_size", "id2label", "architectures"]
    whole = {**config.to_dict(), "architectures": [type(model).__name__]}
    write(ZOO / "deit" / f"{heads}-head", model.state_dict(), {key: whole[key] for key in keep}, golden)


def torch_files():
    """One dictionary in both forms in which torch saves: every element type, views, a shared storage, a parameter."""
    generator = torch.Generator().manual_seed(SEED + 2)
    base = torch.randn((4, 6), generator=generator)
    tensors = {
        "matrix": base,
        "transposed": base.t(),
        "row": base[2, 1:5],
        "half": torch.randn((3, 3), generator=generator).half(),
        "bfloat": torch.randn((2, 5), generator=generator).bfloat16(),
        "parameter": torch.nn.Parameter(torch.randn((2, 2), generator=generator)),
        "scalar": torch.tensor(0.625),
        "empty": torch.zeros((0, 3)),
        "counter": torch.tensor(7),
    }
    folder = ZOO / "torch"
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"epoch": 3, "best": 0.5, "state_dict": {f"module.{name}": t for name, t in tensors.items()}}
    torch.save(whole, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(tensors, folder / "zip.pth")
    golden = {name: t.float() for name, t in tensors.items() if name != "counter"}
    save_file(arrays(golden), folder / "golden.safetensors", {"torch": torch.__version__, "seed": str(SEED + 2)})


def efficientnet(checkpoint):
    """Logits of EfficientNet-Lite0 on two generated images; the checkpoint itself is fetched, not kept here."""
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(checkpoint, map_location="cpu"))
    index = numpy.arange(2 * 3 * 224 * 224, dtype=numpy.uint64)
    # The top byte of a multiplicative hash of each value's index over runs of 1000, as (byte - 127) / 128.
    byte = ((index // 1000 * 2654435761) % 2**32) >> 24
    pixels = ((byte.astype(numpy.float32) - 127) / 128).reshape(2, 3, 224, 224)
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(pixels))
    folder = ZOO / "efficientnet-lite0"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(arrays({"logits": logits}), folder / "golden.safetensors", {"torch": torch.__version__})
    print("largest logits", logits.max(1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--efficientnet", help="efficientnet-lite0-57934424.pth; without it its golden is left as it is")
    options = parser.parse_args()
    deit(1)
    deit(2)
    torch_files()
    if options.efficientnet:
        efficientnet(options.efficientnet)
