//! Torch files that lie, ask for more than tensors, or end too early.

use interplay::load::{self, Bytes, TorchFile};
use libtest_mimic::{Failed, Trial};

use super::container::{message, says};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("bad_input::pickles_that_ask_for_more", globals),
        Trial::test("bad_input::pickles_that_are_inconsistent", inconsistent),
        Trial::test("bad_input::torch_files_that_lie", lies),
        Trial::test("bad_input::torch_files_that_end", ends),
        Trial::test("bad_input::torch_files_of_no_model", no_model),
        Trial::test("bad_input::torch_files_of_the_first_versions", first_versions),
    ]
}

/// The legacy form around the pickle of an object and the tensors' storages.
pub fn legacy(object: &[u8], keys: &[u8], storages: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let facts = b"\x80\x02}(X\x0d\0\0\0little_endian\x88u.";
    [&magic[..], b"\x80\x02M\xe9\x03.", facts, object, keys, storages].concat()
}

/// A checkpoint as training scripts under torch 0.3 wrote them: the weights in `state_dict` under the names of a wrapped model, each
/// with a storage on a GPU, beside them the best accuracy, here a tensor too.
pub fn trained(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let size = |n: usize| [b"J", &(n as i32).to_le_bytes()[..]].concat();
    let tuple = |sizes: &[usize]| [b"(", &sizes.iter().flat_map(|&n| size(n)).collect::<Vec<_>>()[..], b"t"].concat();
    let tensor = |key: usize, shape: &[usize], count: usize| {
        let strides: Vec<usize> = (1..=shape.len()).map(|from| shape[from..].iter().product()).collect();
        let storage = [&text("storage")[..], b"ctorch\nFloatStorage\n", &text(&key.to_string()), &text("cuda:0")];
        let parts = [&b"ctorch._utils\n_rebuild_tensor\n(("[..], &storage.concat(), &size(count), b"NtQ", &size(0)];
        [&parts.concat()[..], b"ctorch\nSize\n", &tuple(shape), b"\x85R", &tuple(&strides), b"tR"].concat()
    };
    let entries = tensors.iter().enumerate().flat_map(|(key, (name, shape, values))| {
        [text(&format!("module.{name}")), tensor(key, shape, values.len())].concat()
    });
    let state = [b"ccollections\nOrderedDict\n)R(", &entries.collect::<Vec<_>>()[..], b"u"].concat();
    let best = [text("best_prec1"), tensor(tensors.len(), &[1], 1)].concat();
    let object = [&b"\x80\x02}("[..], &best, &text("state_dict"), &state, b"u."].concat();
    let keys: Vec<u8> = (0..=tensors.len()).flat_map(|key| text(&key.to_string())).collect();
    let all = tensors.iter().map(|(_, _, values)| &values[..]).chain([&[91.78][..]]);
    let stored = |values: &[f32]| {
        let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        [&(values.len() as u64 / 4).to_le_bytes()[..], &values].concat()
    };
    legacy(&object, &[b"\x80\x02](", &keys[..], b"e."].concat(), &all.flat_map(stored).collect::<Vec<_>>())
}

fn first_versions() -> Result<(), Failed> {
    let (matrix, vector) = (vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![-1.0]);
    let tensors = [("a".to_owned(), vec![2, 3], matrix.clone()), ("b.c".to_owned(), vec![1], vector.clone())];
    let file = TorchFile::parse(Bytes::owned("x.th", trained(&tensors)))?;
    assert_eq!(file.names().collect::<Vec<_>>(), ["a", "b.c"]);
    assert_eq!(file.floats("a")?, (matrix, &[2, 3][..]));
    assert_eq!(file.floats("b.c")?, (vector, &[1][..]));
    // A storage that is a part of another one, of which there are two descriptions.
    let part = b"\x80\x02((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02(X\x01\0\0\x001K\0K\x02ttQ.";
    refused(legacy(part, KEYS, TWO), &["part of another storage", "newer torch"])?;
    let short = b"\x80\x02ctorch._utils\n_rebuild_tensor\n)R.";
    refused(legacy(short, KEYS, TWO), &["RebuildTensor cannot be called with 0 arguments"])
}

/// A dictionary `{"a": tensor}`, where the tensor is of storage `0` with `count` elements.
fn object(class: &str, count: &[u8], offset: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let storage =
        [b"((X\x07\0\0\0storagec", class.as_bytes(), b"\nX\x01\0\0\x000X\x03\0\0\0cpu", count, b"NtQ"].concat();
    let tensor = [b"ctorch._utils\n_rebuild_tensor_v2\n", &storage[..], offset, shape, strides, b"\x89NtR"].concat();
    [b"\x80\x02}X\x01\0\0\0a", &tensor[..], b"s."].concat()
}

/// The keys `["0"]`.
const KEYS: &[u8] = b"\x80\x02]X\x01\0\0\x000a.";

/// A storage of two ones.
const TWO: &[u8] = b"\x02\0\0\0\0\0\0\0\0\0\x80\x3f\0\0\x80\x3f";

/// A file of one tensor of two elements.
pub fn valid() -> Vec<u8> {
    legacy(&object("torch\nFloatStorage", b"K\x02", b"K\0", b"K\x02\x85", b"K\x01\x85"), KEYS, TWO)
}

fn refused(bytes: Vec<u8>, parts: &[&str]) -> Result<(), Failed> {
    says(&message(TorchFile::parse(Bytes::owned("x.pth", bytes)))?, &[&["x.pth"], parts].concat())
}

fn globals() -> Result<(), Failed> {
    let system = b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R.";
    refused(
        legacy(system, KEYS, TWO),
        &["`posix.system`", "not allowed", "collections.OrderedDict", "nothing was executed"],
    )?;
    let evaluated = b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x01x\x85R.";
    refused(legacy(evaluated, KEYS, TWO), &["`builtins.eval`", "not allowed"])?;
    let double = object("torch\nDoubleStorage", b"K\x02", b"K\0", b"K\x02\x85", b"K\x01\x85");
    refused(legacy(&double, KEYS, TWO), &["`torch.DoubleStorage`", "not allowed", "torch.FloatStorage"])?;
    // Instances, extensions and functions by name need operations that are refused as such.
    for operation in [b"i", b"o", b"\x81", b"\x82"] {
        refused(legacy(&[b"\x80\x02", &operation[..], b"."].concat(), KEYS, TWO), &["operation 0x", "refused"])?;
    }
    let called = b"\x80\x02ctorch\nFloatStorage\n)R.";
    refused(legacy(called, KEYS, TWO), &["StorageType", "cannot be called"])
}

fn inconsistent() -> Result<(), Failed> {
    let cases: [(&[u8], &str); 12] = [
        (b"\x80\x02.", "more than the stack holds"),
        (b"\x80\x02(.", "more than the stack holds"),
        (b"\x80\x02t.", "a mark that was not set"),
        (b"\x80\x02h\x05.", "memo 5 was never set"),
        (b"\x80\x02}u.", "a mark that was not set"),
        (b"\x80\x02}(K\x01u.", "a key comes without a value"),
        (b"\x80\x02NNa.", "no list"),
        (b"\x80\x02NNNs.", "no dictionary"),
        (b"\x80\x02NNb.", "no dictionary"),
        (b"\x80\x02NNR.", "a function and a tuple"),
        (b"\x80\x02NQ.", "not to a storage"),
        (b"\x80\x02X\x01\0\0\0\xff.", "not UTF-8"),
    ];
    for (pickle, part) in cases {
        refused(legacy(pickle, KEYS, TWO), &[part, "at byte"])?;
    }
    refused(legacy(b"\x80\x02N.", KEYS, TWO), &["storage `0` is of no tensor"])
}

fn lies() -> Result<(), Failed> {
    let float = "torch\nFloatStorage";
    let file = |count: &[u8], offset: &[u8], shape: &[u8], strides: &[u8]| {
        legacy(&object(float, count, offset, shape, strides), KEYS, TWO)
    };
    let one = b"K\x01\x85";
    TorchFile::parse(Bytes::owned("x.pth", valid()))?;
    refused(file(b"K\x03", b"K\0", b"K\x02\x85", one), &["storage `0` has 2 elements", "says 3"])?;
    refused(file(b"K\x02", b"K\x01", b"K\x02\x85", one), &["tensor `a`", "[2]", "offset 1", "storage of 2"])?;
    refused(file(b"K\x02", b"K\0", b"K\x02\x85", b"J\xff\xff\xff\xff\x85"), &["-1 is no size"])?;
    refused(file(b"K\x02", b"K\0", b"K\x02K\x02\x86", one), &["2 dimensions has 1 strides"])?;
    // A view that repeats its elements could be of any size.
    let huge = b"\x8a\x07\0\0\0\0\0\0\x10\x85";
    refused(file(b"K\x02", b"K\0", huge, b"K\0\x85"), &["tensor `a`", "do not fit a storage of 2"])?;
    let square = b"\x8a\x08\0\0\0\0\0\0\0\x7f\x8a\x08\0\0\0\0\0\0\0\x7f\x86";
    refused(file(b"K\x02", b"K\0", square, square), &["tensor `a`", "do not fit"])?;
    let count = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    refused(
        file(count, b"K\0", b"K\x02\x85", one),
        &["storage `0` has 2 elements, but the pickle says 9223372036854775807"],
    )?;
    let stored = [&[0xff; 7][..], b"\x7f"].concat();
    let absurd = legacy(&object(float, count, b"K\0", b"K\x02\x85", one), KEYS, &stored);
    refused(absurd, &["storage `0` of 9223372036854775807 elements is cut off", "truncated"])?;
    let text = b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffx.";
    refused(legacy(text, KEYS, TWO), &["18446744073709551615 bytes are announced", "truncated"])?;
    refused([valid(), vec![0]].concat(), &["1 bytes follow the last storage"])
}

/// Every beginning of a valid file is refused.
fn ends() -> Result<(), Failed> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo/torch");
    for whole in [valid(), std::fs::read(folder.join("legacy.pth"))?, std::fs::read(folder.join("zip.pth"))?] {
        for length in 0..whole.len() {
            refused(whole[..length].to_vec(), &[])?;
        }
    }
    Ok(())
}

fn no_model() -> Result<(), Failed> {
    refused(b"GGUF".to_vec(), &["neither of the two forms", "safetensors"])?;
    refused(legacy(b"\x80\x02}.", b"\x80\x02].", b""), &["0 dictionaries of tensors"])?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.pth");
    std::fs::write(&path, valid())?;
    says(&message(load::open(&path))?, &["model.pth", "EfficientNet-Lite0", "config.json"])
}
