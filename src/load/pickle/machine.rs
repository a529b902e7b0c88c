//! The pickle machine: a stack, a memo, and the operations that checkpoints use.
//!
//! Every operation makes at most one object and pushes at most one reference, so memory is bounded by [`MOST_OPERATIONS`] and by
//! the length of the pickle. There is no recursion. An operation that is not in the list is an error, not a guess.

use std::collections::HashMap;
use std::ops::Range;

use super::object::{Global, Id, Object, Storage, View};

/// Operations of one pickle; a checkpoint has about fifty a tensor.
const MOST_OPERATIONS: usize = 1 << 21;

/// Dimensions of a tensor; those of checkpoints have at most five.
const MOST_DIMENSIONS: usize = 8;

/// What one pickle made.
#[derive(Debug)]
pub struct Heap {
    objects: Vec<Object>,
    /// The object that the pickle stands for.
    pub root: Id,
    /// The byte behind the pickle.
    pub end: usize,
}

impl Heap {
    /// The object at `id`.
    pub fn get(&self, id: Id) -> &Object {
        &self.objects[id]
    }

    /// Every object, in the order in which they were made.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }
}

/// Runs the pickle that begins at byte `start` of `bytes`.
///
/// # Errors
/// The pickle is cut off, inconsistent, or asks for what is not allowed; the message says where.
pub fn run(bytes: &[u8], start: usize) -> Result<Heap, String> {
    let (objects, stack, marks, memo) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
    let mut machine = Machine { bytes, at: start, objects, stack, marks, memo };
    for _ in 0..MOST_OPERATIONS {
        let at = machine.at;
        let done = machine.step().and_then(|end| if end { machine.pop().map(Some) } else { Ok(None) });
        match done {
            Ok(None) => {}
            Ok(Some(root)) => return Ok(Heap { objects: machine.objects, root, end: machine.at }),
            Err(problem) => return Err(format!("{problem} (pickle operation at byte {at})")),
        }
    }
    Err(format!("a pickle of more than {MOST_OPERATIONS} operations is no checkpoint"))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    objects: Vec<Object>,
    stack: Vec<Id>,
    /// Heights of the stack at which marks were set.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl Machine<'_> {
    /// Runs one operation; true at the end of the pickle.
    fn step(&mut self) -> Result<bool, String> {
        let [op] = self.take()?;
        match op {
            0x80 => drop(self.take::<1>()?),
            0x95 => drop(self.take::<8>()?),
            b'.' => return Ok(true),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.push(Object::None),
            0x88 | 0x89 => self.push(Object::Bool(op == 0x88)),
            b'J' | b'K' | b'M' | 0x8a | b'G' => self.number(op)?,
            b'X' | 0x8c | 0x8d | b'U' | b'T' | b'C' | b'B' | 0x8e => self.string(op)?,
            b')' | 0x85..=0x87 | b't' => self.tuple(op)?,
            b']' => self.push(Object::List(Vec::new())),
            b'}' => self.push(Object::Dict(Vec::new())),
            b'a' | b'e' => self.append(op)?,
            b's' | b'u' => self.set(op)?,
            b'h' | b'j' => self.recall(op)?,
            b'q' | b'r' | 0x94 => self.remember(op)?,
            b'c' | 0x93 => self.global(op)?,
            b'R' => self.call()?,
            b'b' => self.build()?,
            b'Q' => self.persistent()?,
            _ => return Err(format!("operation {op:#04x} is none that checkpoints need; it is refused")),
        }
        Ok(false)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let range = self.range(N as u64)?;
        let mut taken = [0; N];
        taken.copy_from_slice(&self.bytes[range]);
        Ok(taken)
    }

    /// The next `length` bytes.
    fn range(&mut self, length: u64) -> Result<Range<usize>, String> {
        let left = self.bytes.len() - self.at;
        let length = usize::try_from(length)
            .ok()
            .filter(|&n| n <= left)
            .ok_or_else(|| format!("{length} bytes are announced and {left} are left; the file is truncated"))?;
        self.at += length;
        Ok(self.at - length..self.at)
    }

    /// The next line, without its end.
    fn line(&mut self) -> Result<Range<usize>, String> {
        let length = self.bytes[self.at..].iter().position(|&b| b == b'\n');
        let range = self.range(length.ok_or("a name does not end; the file is truncated")? as u64)?;
        self.at += 1;
        Ok(range)
    }

    fn text(&self, range: &Range<usize>) -> Result<&str, String> {
        std::str::from_utf8(&self.bytes[range.clone()]).map_err(|_| "a text is not UTF-8".into())
    }

    fn push(&mut self, object: Object) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    /// Where the part of the stack begins that operations may take from: above the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id, String> {
        if self.stack.len() <= self.floor() {
            return Err("an operation takes more than the stack holds".into());
        }
        self.stack.pop().ok_or_else(|| "the stack is empty".into())
    }

    fn top(&self) -> Result<Id, String> {
        self.stack
            .last()
            .copied()
            .filter(|_| self.stack.len() > self.floor())
            .ok_or_else(|| "the stack is empty".into())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("an operation needs a mark that was not set")?;
        Ok(self.stack.split_off(mark))
    }

    fn number(&mut self, op: u8) -> Result<(), String> {
        let object = match op {
            b'J' => Object::Int(i64::from(i32::from_le_bytes(self.take()?))),
            b'K' => Object::Int(i64::from(u8::from_le_bytes(self.take()?))),
            b'M' => Object::Int(i64::from(u16::from_le_bytes(self.take()?))),
            b'G' => {
                self.take::<8>()?;
                Object::Number
            }
            _ => {
                let [length] = self.take()?;
                let range = self.range(u64::from(length))?;
                long(&self.bytes[range])
            }
        };
        self.push(object);
        Ok(())
    }

    fn string(&mut self, op: u8) -> Result<(), String> {
        let length = match op {
            0x8c | b'U' | b'C' => u64::from(u8::from_le_bytes(self.take()?)),
            b'X' | b'T' | b'B' => u64::from(u32::from_le_bytes(self.take()?)),
            _ => u64::from_le_bytes(self.take()?),
        };
        let range = self.range(length)?;
        let is_text = matches!(op, b'X' | 0x8c | 0x8d | b'U' | b'T');
        if is_text {
            self.text(&range)?;
        }
        self.push(if is_text { Object::Text(range) } else { Object::Bytes });
        Ok(())
    }

    fn tuple(&mut self, op: u8) -> Result<(), String> {
        let items = match op {
            b't' => self.pop_to_mark()?,
            _ => {
                let count = if op == b')' { 0 } else { usize::from(op - 0x84) };
                let items: Result<Vec<_>, _> = (0..count).map(|_| self.pop()).collect();
                items?.into_iter().rev().collect()
            }
        };
        self.push(Object::Tuple(items));
        Ok(())
    }

    fn append(&mut self, op: u8) -> Result<(), String> {
        let items = if op == b'a' { vec![self.pop()?] } else { self.pop_to_mark()? };
        let list = self.top()?;
        match &mut self.objects[list] {
            Object::List(list) => list.extend(items),
            _ => return Err("items are appended to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, op: u8) -> Result<(), String> {
        let items = if op == b's' {
            let value = self.pop()?;
            vec![self.pop()?, value]
        } else {
            self.pop_to_mark()?
        };
        let dict = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.objects[dict] {
            Object::Dict(dict) if rest.is_empty() => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            Object::Dict(_) => return Err("a key comes without a value".into()),
            _ => return Err("keys are set in what is no dictionary".into()),
        }
        Ok(())
    }

    fn place(&mut self, op: u8) -> Result<usize, String> {
        Ok(match op {
            b'h' | b'q' => usize::from(u8::from_le_bytes(self.take()?)),
            b'j' | b'r' => u32::from_le_bytes(self.take()?) as usize,
            _ => self.memo.len(),
        })
    }

    fn recall(&mut self, op: u8) -> Result<(), String> {
        let place = self.place(op)?;
        let id = *self.memo.get(&place).ok_or_else(|| format!("memo {place} was never set"))?;
        self.stack.push(id);
        Ok(())
    }

    fn remember(&mut self, op: u8) -> Result<(), String> {
        let place = self.place(op)?;
        let top = self.top()?;
        self.memo.insert(place, top);
        Ok(())
    }

    fn global(&mut self, op: u8) -> Result<(), String> {
        let (module, name) = if op == b'c' {
            (self.line()?, self.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (&self.objects[module], &self.objects[name]) {
                (Object::Text(module), Object::Text(name)) => (module.clone(), name.clone()),
                _ => return Err("a global is named by what is no text".into()),
            }
        };
        let global = Global::find(self.text(&module)?, self.text(&name)?)?;
        self.push(Object::Global(global));
        Ok(())
    }

    fn call(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Object::Global(function), Object::Tuple(arguments)) = (&self.objects[function], &self.objects[arguments])
        else {
            return Err("a call needs a function and a tuple".into());
        };
        match (function, &arguments[..]) {
            (Global::OrderedDict, []) => self.push(Object::Dict(Vec::new())),
            (Global::RebuildTensor, [storage, offset, shape, strides, ..]) => {
                let view = self.view([*storage, *offset, *shape, *strides])?;
                self.push(Object::Tensor(view));
            }
            (Global::RebuildParameter, &[tensor, ..]) => self.stack.push(tensor),
            (Global::Size, &[sizes]) => self.stack.push(sizes),
            (function, _) => return Err(format!("{function:?} cannot be called with {} arguments", arguments.len())),
        }
        Ok(())
    }

    fn view(&self, [storage, offset, shape, strides]: [Id; 4]) -> Result<View, String> {
        let Object::Storage(storage) = &self.objects[storage] else { return Err("a tensor has no storage".into()) };
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        if shape.len() != strides.len() || shape.len() > MOST_DIMENSIONS {
            let (given, strides) = (shape.len(), strides.len());
            return Err(format!(
                "a tensor of {given} dimensions has {strides} strides; as many are needed, at most {MOST_DIMENSIONS}"
            ));
        }
        Ok(View { storage: storage.clone(), offset: self.size(offset)?, shape, strides })
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>, String> {
        match &self.objects[id] {
            Object::Tuple(items) if items.len() <= MOST_DIMENSIONS => {
                items.iter().map(|&item| self.size(item)).collect()
            }
            _ => Err(format!("a shape or strides are no tuple of at most {MOST_DIMENSIONS} sizes")),
        }
    }

    fn size(&self, id: Id) -> Result<usize, String> {
        match &self.objects[id] {
            Object::Int(value) => usize::try_from(*value).map_err(|_| format!("{value} is no size")),
            other => Err(format!("a size is {other:?}, no integer")),
        }
    }

    /// Attributes that a state dictionary carries beside its items (`_metadata`) are let go.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        let object = self.top()?;
        match self.objects[object] {
            Object::Dict(_) => Ok(()),
            _ => Err("attributes are set on what is no dictionary".into()),
        }
    }

    /// `("storage", type, key, location, count)`, before torch 1.6 with what part of another storage it is, nothing as a rule.
    fn persistent(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let wrong = || "a reference out of the pickle is not to a storage of a known type".to_owned();
        let Object::Tuple(items) = &self.objects[id] else { return Err(wrong()) };
        let [kind, class, key, _, count, ref part @ ..] = items[..] else { return Err(wrong()) };
        if part.iter().any(|&part| self.objects[part] != Object::None) {
            return Err("a storage is part of another storage; save the model's state_dict with a newer torch".into());
        }
        let count = self.size(count)?;
        match (&self.objects[kind], &self.objects[class], &self.objects[key]) {
            (Object::Text(kind), Object::Global(Global::StorageType(element)), Object::Text(key))
                if self.text(kind)? == "storage" =>
            {
                let storage = Storage { element: *element, key: key.clone(), count };
                self.push(Object::Storage(storage));
                Ok(())
            }
            _ => Err(wrong()),
        }
    }
}

/// An integer of any length, little-endian in two's complement.
fn long(bytes: &[u8]) -> Object {
    if bytes.len() > 8 {
        return Object::Number;
    }
    let fill = if bytes.last().is_some_and(|&b| b >= 0x80) { 0xff } else { 0 };
    let mut all = [fill; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    Object::Int(i64::from_le_bytes(all))
}
