//! The objects that a checkpoint's pickle may make, and the few functions that it may call.
//!
//! A function is a name that this file knows: nothing is looked up anywhere else, and nothing is executed.

use std::ops::Range;

/// The place of an object in [`super::machine::Heap`].
pub type Id = usize;

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer of more than 64 bits, or a float: its value is of no use here.
    Number,
    /// UTF-8 text, as a range of the pickle.
    Text(Range<usize>),
    /// Other bytes; their value is of no use here.
    Bytes,
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dictionary, in order of insertion.
    Dict(Vec<(Id, Id)>),
    /// A function or a type of the list below.
    Global(Global),
    /// A storage that lies elsewhere in the file.
    Storage(Storage),
    /// A view of a storage.
    Tensor(View),
}

/// What a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`, or `_rebuild_tensor` of the versions before 0.4, which has its first four arguments.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`.
    RebuildParameter,
    /// `torch.Size`, a tuple.
    Size,
    /// `torch.FloatStorage` and its like.
    StorageType(Element),
}

/// What a storage is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// bfloat16.
    Bf16,
    /// Two's complement of 64 bits.
    I64,
    /// One byte: the masks that exports of GPT-2 carry.
    U8,
}

impl Element {
    /// Bytes of one.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::I64 => 8,
            Self::U8 => 1,
        }
    }
}

/// A storage as the pickle describes it; nothing of it was compared to the file yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// What it is made of.
    pub element: Element,
    /// Its name in the file, as a range of the pickle.
    pub key: Range<usize>,
    /// Its elements.
    pub count: usize,
}

/// A tensor as the pickle describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The storage.
    pub storage: Storage,
    /// The element of the storage that is the tensor's first.
    pub offset: usize,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Elements of the storage from one index of a dimension to the next.
    pub strides: Vec<usize>,
}

/// The allowed names, each with what it stands for.
const ALLOWED: [(&str, &str, Global); 11] = [
    ("collections", "OrderedDict", Global::OrderedDict),
    ("torch._utils", "_rebuild_tensor_v2", Global::RebuildTensor),
    ("torch._utils", "_rebuild_tensor", Global::RebuildTensor),
    ("torch._utils", "_rebuild_parameter", Global::RebuildParameter),
    ("torch", "Size", Global::Size),
    ("torch", "FloatStorage", Global::StorageType(Element::F32)),
    ("torch", "HalfStorage", Global::StorageType(Element::F16)),
    ("torch", "BFloat16Storage", Global::StorageType(Element::Bf16)),
    ("torch", "LongStorage", Global::StorageType(Element::I64)),
    ("torch", "ByteStorage", Global::StorageType(Element::U8)),
    ("torch", "BoolStorage", Global::StorageType(Element::U8)),
];

impl Global {
    /// What `module.name` stands for.
    ///
    /// # Errors
    /// It is not allowed.
    pub fn find(module: &str, name: &str) -> Result<Self, String> {
        let found = ALLOWED.iter().find(|(m, n, _)| (*m, *n) == (module, name));
        found.map(|(_, _, global)| *global).ok_or_else(|| {
            let names: Vec<_> = ALLOWED.iter().map(|(m, n, _)| format!("{m}.{n}")).collect();
            // A damaged or hostile name may be of any length.
            let given: String = format!("{module}.{name}").chars().take(100).collect();
            format!(
                "the pickle names `{given}`, which is not allowed; allowed are {}; nothing was executed",
                names.join(", ")
            )
        })
    }
}
