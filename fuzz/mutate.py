#!/usr/bin/env python3
"""Damages files that every reader of the program takes, and counts how it answers.

    python3 fuzz/mutate.py target/debug/interplay [--runs 20000] [--seed 1] [--only READER | --skip READER] [--keep DIR] [--jobs 2]

The same seed makes the same files. A run is a finding where the program panics (exit code 101), ends by a signal, computes for more
than 10 seconds, or needs more than 1 GiB of address space; a refusal (2), a failed check (1) and nonsense that is accepted (0) are not.
The exit code is 1 where there were findings; `--keep` says where their files go.
"""

import argparse
import base64
import concurrent.futures
import json
import pathlib
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
ZOO = ROOT / "tests/data/zoo"
SECONDS = 10
# On a busy machine the clock says little; this is for what waits for ever.
WAIT = 120
ADDRESS_SPACE = 1 << 30
PORTION = 200
TEXT = "the cat sat on the mat, again and again; ünïcode ﷺ 12345 😀\n\n" * 12
NUMBERS = ["0", "-1", "1", "2", "3", "7", "64", "255", "65536", "2147483648", "4294967295", "9223372036854775807",
           "18446744073709551615", "-9223372036854775808", "1e308", "1e999", "-0.0", "0.5", "1e-320", "nan", "inf"]
WORDS = ["null", "true", "false", "[]", "{}", '""', '"a"', "[[]]", "[1, 2]", '{"a": 1}', '"' + "a" * 5000 + '"', "é", "\0"]


def safetensors(tensors):
    header, data = {}, b""
    for name, (dtype, shape, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def floats(count):
    return b"".join(struct.pack("<f", ((7 * i) % 31 - 15) / 8) for i in range(count))


def png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(28)) for y in range(28))
    header = struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def charsmap():
    units = [0] * 512
    units[0] = 256 << 10
    units[256 ^ 0x61] = 256 << 10 | 1 << 8 | 0x61
    units[0x61] = 1 << 31
    return base64.b64encode(struct.pack("<I512I", 2048, *units) + b"bc\0").decode()


def tokenizers():
    """Small tokenizers with every kind of part."""
    around = {"type": "TemplateProcessing", "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
              "single": [{"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
              "special_tokens": {"a": {"id": "a", "ids": [1], "tokens": ["a"]}}}
    plain = [{"type": kind} for kind in ("NFC", "NFKD", "StripAccents", "Lowercase", "Nmt")]
    texts = {"type": "Sequence", "normalizers": plain + [
        {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "Precompiled", "precompiled_charsmap": charsmap()},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
        {"type": "Replace", "pattern": {"String": "``"}, "content": "\""}, {"type": "Prepend", "prepend": "▁"}]}
    cuts = [{"type": kind} for kind in ("Whitespace", "WhitespaceSplit", "UnicodeScripts", "BertPreTokenizer")]
    cuts += [{"type": "Digits", "individual_digits": True}, {"type": "FixedLength", "length": 5},
             {"type": "Punctuation", "behavior": "Isolated"}, {"type": "CharDelimiterSplit", "delimiter": "x"},
             {"type": "Split", "pattern": {"Regex": r"\p{L}+|\s+(?!\S)|\s+"}, "behavior": "Isolated", "invert": False}]
    meta = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    byte = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    decoder = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    letters = {letter: i for i, letter in enumerate(["<unk>"] + [chr(c) for c in range(97, 123)])}
    pieces = [[token, -float(i)] for token, i in letters.items()]
    models = [
        {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
         "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": {**letters, "th": 27}, "merges": ["t h"]},
        {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
         "vocab": {**letters, "##t": 27}},
        {"type": "WordLevel", "vocab": letters, "unk_token": "<unk>"},
        {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": False},
    ]
    added = [{"id": 1, "content": "cat", "single_word": True, "lstrip": True, "rstrip": True, "normalized": True, "special": False}]
    for model in models:
        for before, normal in ((meta, texts), (byte, None), ({"type": "Sequence", "pretokenizers": cuts}, texts)):
            yield json.dumps({"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normal,
                              "pre_tokenizer": before, "post_processor": around, "decoder": decoder, "model": model})


FORMAT = """[format]
name = "mine"
exponent_bits = 4
mantissa_bits = 2
bias = 7
specials = "nan-only"
block = { run = 16 }
scale = "e8m0"
rule = "floor"
"""
DATAPATH = """[datapath]
name = "mine"
inputs = "blocks"
group = "block"
accumulate = "after"
accumulator = "e8m11"
rounding = "toward-zero"
"""
LAYERS = """preset = "all"
format = "hbfp6"
sparsity = "2:4"
order = "sq"
[[layer]]
match = "*0*"
format = "mxfp8"
datapath = "fp32"
"""


def read(*paths):
    return [(ROOT / path).read_bytes() for path in paths]


def below(folder, pattern):
    return [path.read_bytes() for path in sorted((ROOT / folder).glob(pattern))]


def model(folder, name, place):
    """A model's folder in `place`, with the file `name` free."""
    for path in (ZOO / folder).iterdir():
        if path.name != name:
            (place / path.name).symlink_to(path)


def studies():
    """The built-in studies of language models, on a model that takes no time."""
    for name in ("orders", "accumulator", "theory_dot", "ranking", "propagation"):
        text = (ROOT / f"experiments/src/studies/{name}.toml").read_text()
        text = re.sub(r"(?m)^models = .*$", 'models = ["."]\ndata = { "." = "t.txt" }', text)
        sizes = {"windows": 2, "window": 8}
        for key, value in sizes.items():
            text = re.sub(rf"(?m)^{key} = .*\n", "", text)
            text = text.replace("[quick]", f"[quick]\n{key} = {value}")
        yield text.encode()


class Reader:
    """One reader: what it takes, where that goes, and the command that reads it."""

    def __init__(self, name, seeds, file, command, prepare=lambda place: None, is_text=False):
        self.name, self.seeds, self.file, self.command = name, seeds, file, command
        self.prepare, self.is_text = prepare, is_text


def index_of(place):
    (place / "a.safetensors").symlink_to(ZOO / "qwen2/model.safetensors")
    (place / "config.json").symlink_to(ZOO / "qwen2/config.json")


def with_text(place):
    model("qwen2", "tokenizer.json", place)
    (place / "t.txt").write_text(TEXT)


def with_tokenizer(place):
    with_text(place)
    (place / "tokenizer.json").write_text(list(tokenizers())[6])


def readers():
    header = (ZOO / "qwen2/model.safetensors").read_bytes()
    names = [n for n in json.loads(header[8:8 + struct.unpack("<Q", header[:8])[0]]) if n != "__metadata__"]
    index = json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, "a.safetensors")}).encode()
    small = safetensors({"a": ("F32", [4, 32], floats(128)), "b": ("F16", [2, 3], bytes(12)), "c": ("I64", [1], bytes(8))})
    kernel = safetensors({"a": ("U8", [4, 32], bytes(range(128))), "b": ("U8", [4, 32], bytes(range(128))),
                          "c": ("U32", [4], bytes(16)), "d": ("U32", [4], bytes(16))})
    configs = [path.parent.name for path in sorted(ZOO.glob("*/config.json"))]
    yield Reader("safetensors", [small], "x.safetensors", "quantize --format mxfp8 --input x.safetensors --output y.safetensors")
    yield Reader("safetensors of a model", [header], "model.safetensors", "trace --model .",
                 lambda place: model("qwen2", "model.safetensors", place))
    yield Reader("index", [index], "model.safetensors.index.json", "trace --model .", index_of, True)
    yield Reader("pickle", read("tests/data/zoo/torch/legacy.pth", "tests/data/zoo/torch/zip.pth"), "x.pth", "trace --model x.pth")
    yield Reader("pickle of a model", read("tests/data/zoo/llama-biased-bin/pytorch_model.bin"), "pytorch_model.bin",
                 "trace --model .", lambda place: model("llama-biased-bin", "pytorch_model.bin", place))
    yield Reader("GGUF", below("tests/data/gguf", "*.gguf"), "x.gguf", "trace --model x.gguf")
    for name in configs:
        yield Reader("config.json", read(f"tests/data/zoo/{name}/config.json"), "config.json", "trace --model .",
                     lambda place, name=name: model(name, "config.json", place), True)
    words = [text.encode() for text in tokenizers()]
    yield Reader("tokenizer.json", words, "tokenizer.json",
                 "eval --model . --data t.txt --window 8 --windows 1 --format fp32", with_text, True)
    yield Reader("tokenizer.json", words, "tokenizer.json",
                 "eval --model . --data t.txt --window 8 --windows 1 --format fp32", with_text)
    yield Reader("study TOML", list(studies()), "x.toml", "study x.toml --quick --dry-run --out out", with_tokenizer, True)
    yield Reader("accelerator TOML", below("hw-models/data/accelerators", "*.toml"), "x.toml",
                 "cost --gemm 16x64x32 --format mxfp8 --accelerator x.toml", is_text=True)
    yield Reader("price TOML", [text for text in below("hw-models/data/prices", "*.toml") if b"[operations" in text], "x.toml",
                 "cost --gemm 16x64x32 --format mxfp8 --prices x.toml", is_text=True)
    yield Reader("format TOML", [FORMAT.encode()], "x.toml", "--define x.toml format mine 1.0 0.7", is_text=True)
    yield Reader("datapath TOML", [DATAPATH.encode()], "x.toml",
                 "cost --gemm 16x64x32 --format hbfp6 --datapath x.toml", is_text=True)
    yield Reader("rules of layers", [LAYERS.encode()], "x.toml", "cost --model lm --layers x.toml", is_text=True)
    yield Reader("kernel of verify", [kernel], "x.safetensors", "verify --datapath ada.mma.e4m3.f32 --vectors x.safetensors")
    yield Reader("image", [png()], "a_3.png", "eval --model vit --data pictures --windows 1 --format fp32",
                 lambda place: (place / "pictures").mkdir())


def damaged(rng, data, is_text):
    """`data` with one change, or a few."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 2, 4, 8])):
        if is_text and rng.random() < 0.7:
            data = bytearray(text_damaged(rng, data.decode("utf-8", "replace")).encode("utf-8", "replace"))
            continue
        at = rng.randrange(len(data) + 1)
        # Headers come first, and most checks with them.
        if rng.random() < 0.3:
            at = min(at, rng.randrange(2048))
        end = min(len(data), at + rng.choice([1, 1, 2, 4, 8, 64]))
        match rng.randrange(6):
            case 0:
                data[at:end] = rng.randbytes(end - at)
            case 1:
                data[at:end] = rng.choice([b"\0", b"\x7f", b"\x80", b"\xff"]) * (end - at)
            case 2:
                data[at:at] = rng.randbytes(rng.choice([1, 2, 8]))
            case 3:
                del data[at:end]
            case 4:
                data[at:at] = data[rng.randrange(len(data) + 1):][:rng.choice([4, 16, 256])]
            case _ if rng.random() < 0.3:
                del data[at:]
    return bytes(data)


def spans(text):
    """Where numbers, words in quotes, and lines or parts between commas stand."""
    return [match.span() for match in re.finditer(r'-?\d[\d.e+-]*|"[^"\n]*"|[^,\n]+|\w+', text)]


def text_damaged(rng, text):
    # The beginning of a long vocabulary stands for all of it.
    head = text if len(text) < 20000 else text[:20000]
    places = spans(head) or [(0, 0)]
    start, end = rng.choice(places)
    other = rng.choice(places)
    numbers = [match.span() for match in re.finditer(r"(?<!\w)-?\d[\d.e+-]*", head)]
    if numbers and rng.random() < 0.4:
        start, end = rng.choice(numbers)
        return text[:start] + rng.choice(NUMBERS) + text[end:]
    match rng.randrange(7):
        case 0 | 1:
            value = rng.choice(NUMBERS)
        case 2:
            value = rng.choice(WORDS)
        case 3:
            value = ""
        case 4:
            value = text[slice(*other)]
        case 5:
            value = text[start:end] + "," + text[start:end]
        case _:
            value = text[start:end] * rng.choice([2, 3, 200])
    return text[:start] + value + text[end:]


def limited():
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def once(program, reader, data):
    """Runs the reader on `data`, and says what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        reader.prepare(place)
        target = place / ("pictures/" + reader.file if reader.name == "image" else reader.file)
        target.write_bytes(data)
        command = [program, "--threads", "1", *reader.command.split()]
        try:
            done = subprocess.run(command, cwd=place, capture_output=True, timeout=WAIT, preexec_fn=limited, check=False)
        except subprocess.TimeoutExpired:
            return "slow", f"no end within {WAIT} seconds"
        said = done.stderr.decode("utf-8", "replace")
        if "panicked at" in said or done.returncode == 101:
            return "panic", said
        if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            return "slow", f"more than {SECONDS} seconds of a processor"
        if done.returncode < 0:
            return ("memory" if "memory allocation" in said else "signal"), said
        return str(done.returncode), said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--runs", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--skip")
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    program = str(pathlib.Path(options.program).resolve())
    chosen = [reader for reader in readers() if options.only in (None, reader.name) and options.skip != reader.name]
    for reader in chosen:
        for seed in reader.seeds:
            end, said = once(program, reader, seed)
            if end not in ("0", "1"):
                print(f"note: {reader.name}: the undamaged file ends with {end}: {said.strip()[-200:]}")
    counts, findings, told = {}, 0, set()

    def job(number):
        rng = random.Random(f"{options.seed} {number}")
        reader = chosen[number % len(chosen)]
        data = damaged(rng, rng.choice(reader.seeds), reader.is_text)
        return number, reader, data, *once(program, reader, data)

    def take(number, reader, data, end, said):
        ends = counts.setdefault(reader.name, {})
        ends[end] = ends.get(end, 0) + 1
        if end in ("0", "1", "2"):
            return 0
        where = said.split("panicked at ")[-1].split("\n")[0] if end == "panic" else said.strip()[:120]
        if (reader.name, where) not in told:
            told.add((reader.name, where))
            print(f"{reader.name}: run {number}: {end}: {where}", flush=True)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{number}-{end}-{reader.file}").write_bytes(data)
        return 1

    # In portions, so that an interrupt ends with the table of what was done.
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        try:
            for start in range(0, options.runs, PORTION):
                for result in pool.map(job, range(start, min(start + PORTION, options.runs))):
                    findings += take(*result)
        except KeyboardInterrupt:
            pass
    print("| reader | runs | accepted | refused | findings |\n|---|---|---|---|---|")
    for name, ends in counts.items():
        total, fine = sum(ends.values()), ends.get("0", 0) + ends.get("1", 0)
        print(f"| {name} | {total:,} | {fine:,} | {ends.get('2', 0):,} | {total - fine - ends.get('2', 0)} |")
    done = sum(sum(ends.values()) for ends in counts.values())
    print(f"{done:,} runs with seed {options.seed}: {findings} findings")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
