//! GGUF metadata values.

use super::cursor::Cursor;

/// A metadata value. Arrays stay in the file and are decoded when asked for, so a header allocates little.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Array { kind: Kind, count: usize, start: usize },
}

/// The type numbers of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    /// In the order of their numbers.
    const ALL: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::Text,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    fn read(cursor: &mut Cursor, key: &str) -> Result<Self, String> {
        let number = cursor.u32(&format!("the type of `{key}`"))?;
        usize::try_from(number)
            .ok()
            .and_then(|n| Self::ALL.get(n).copied())
            .ok_or_else(|| format!("`{key}` has value type {number}; GGUF defines 0 to 12"))
    }

    /// The fewest bytes that one value takes.
    fn least(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::Text => 8,
            Self::Array => 12,
        }
    }

    fn scalar(self, cursor: &mut Cursor, key: &str) -> Result<Value, String> {
        Ok(match self {
            Self::U8 => Value::Unsigned(cursor.u8(key)?.into()),
            Self::U16 => Value::Unsigned(cursor.u16(key)?.into()),
            Self::U32 => Value::Unsigned(cursor.u32(key)?.into()),
            Self::U64 => Value::Unsigned(cursor.u64(key)?),
            Self::I8 => Value::Signed(cursor.u8(key)?.cast_signed().into()),
            Self::I16 => Value::Signed(cursor.u16(key)?.cast_signed().into()),
            Self::I32 => Value::Signed(cursor.u32(key)?.cast_signed().into()),
            Self::I64 => Value::Signed(cursor.u64(key)?.cast_signed()),
            Self::F32 => Value::Float(f32::from_bits(cursor.u32(key)?).into()),
            Self::F64 => Value::Float(f64::from_bits(cursor.u64(key)?)),
            Self::Bool => Value::Bool(cursor.u8(key)? != 0),
            Self::Text => Value::Text(cursor.text(key)?.to_owned()),
            Self::Array => return Err(format!("`{key}` is an array of arrays, which no known model has")),
        })
    }
}

impl Value {
    /// Reads the type and the value of `key`.
    pub(super) fn read(cursor: &mut Cursor, key: &str) -> Result<Self, String> {
        let kind = Kind::read(cursor, key)?;
        if kind != Kind::Array {
            return kind.scalar(cursor, key);
        }
        let kind = Kind::read(cursor, key)?;
        let count = cursor.count(kind.least(), &format!("the length of array `{key}`"))?;
        let start = cursor.position();
        match kind {
            Kind::Text => {
                for _ in 0..count {
                    cursor.text(key)?;
                }
            }
            Kind::Array => return Err(format!("`{key}` is an array of arrays, which no known model has")),
            _ => {
                cursor.take(count * kind.least(), key)?;
            }
        }
        Ok(Self::Array { kind, count, start })
    }

    /// The strings of a string array that was read from `bytes`.
    pub(super) fn texts<'a>(&self, bytes: &'a [u8], key: &str) -> Result<Vec<&'a str>, String> {
        match *self {
            Self::Array { kind: Kind::Text, count, start } => {
                let mut cursor = Cursor::new(bytes, start);
                (0..count).map(|_| cursor.text(key)).collect()
            }
            _ => Err(format!("`{key}` is not an array of strings")),
        }
    }

    /// The numbers of an integer array that was read from `bytes`.
    pub(super) fn integers(&self, bytes: &[u8], key: &str) -> Result<Vec<i64>, String> {
        let not_integers = || format!("`{key}` is not an array of integers");
        let Self::Array { kind, count, start } = *self else { return Err(not_integers()) };
        if kind == Kind::Text {
            return Err(not_integers());
        }
        let mut cursor = Cursor::new(bytes, start);
        (0..count)
            .map(|_| match kind.scalar(&mut cursor, key)? {
                Self::Unsigned(n) => i64::try_from(n).map_err(|_| not_integers()),
                Self::Signed(n) => Ok(n),
                _ => Err(not_integers()),
            })
            .collect()
    }

    /// The numbers of a `f32` array that was read from `bytes`.
    pub(super) fn floats(&self, bytes: &[u8], key: &str) -> Result<Vec<f32>, String> {
        match *self {
            Self::Array { kind: Kind::F32, count, start } => {
                let mut cursor = Cursor::new(bytes, start);
                (0..count).map(|_| cursor.u32(key).map(f32::from_bits)).collect()
            }
            _ => Err(format!("`{key}` is not an array of 32-bit floats")),
        }
    }
}
