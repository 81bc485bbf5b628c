//! The wire format: keys, varints, fixed and length-delimited values. Borrows from the body; never reads beyond it.

use super::ProtobufError;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Varint,
    Fixed64,
    Delimited,
    GroupStart,
    GroupEnd,
    Fixed32,
}

/// Groups (an old form no one writes) may stand inside each other this deep.
const MOST_GROUPS: usize = 32;

fn truncated() -> ProtobufError {
    ProtobufError::at("", "unexpected EOF")
}

fn wrong(expected: &str, found: Wire) -> ProtobufError {
    ProtobufError::at("", format!("wrong wireType = {found:?}, expected {expected}"))
}

/// Reads values one after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next field's number and wire type; `None` at the end.
    pub(super) fn key(&mut self) -> Result<Option<(u32, Wire)>, ProtobufError> {
        if self.is_empty() {
            return Ok(None);
        }
        let key = self.raw_varint()?;
        let wire = match key & 7 {
            0 => Wire::Varint,
            1 => Wire::Fixed64,
            2 => Wire::Delimited,
            3 => Wire::GroupStart,
            4 => Wire::GroupEnd,
            5 => Wire::Fixed32,
            other => return Err(ProtobufError::at("", format!("illegal wireType {other}"))),
        };
        match u32::try_from(key >> 3) {
            Ok(number) if number > 0 && number < 1 << 29 => Ok(Some((number, wire))),
            _ => Err(ProtobufError::at("", format!("illegal tag {}", key >> 3))),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn raw_varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.take(1)?.first().ok_or_else(truncated)?;
            // The tenth byte has room for one bit only.
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtobufError::at("", "integer overflow"))
    }

    pub(super) fn varint(&mut self, wire: Wire) -> Result<i64, ProtobufError> {
        match wire {
            Wire::Varint => Ok(self.raw_varint()?.cast_signed()),
            other => Err(wrong("Varint", other)),
        }
    }

    /// A number of a packed list.
    pub(super) fn packed_varint(&mut self) -> Result<i64, ProtobufError> {
        self.varint(Wire::Varint)
    }

    pub(super) fn double(&mut self, wire: Wire) -> Result<f64, ProtobufError> {
        if wire != Wire::Fixed64 {
            return Err(wrong("Fixed64", wire));
        }
        let bytes = self.take(8)?.try_into().map_err(|_| truncated())?;
        Ok(f64::from_le_bytes(bytes))
    }

    pub(super) fn length_delimited(&mut self, wire: Wire) -> Result<&'a [u8], ProtobufError> {
        if wire != Wire::Delimited {
            return Err(wrong("Delimited", wire));
        }
        let length = self.raw_varint()?;
        self.take(usize::try_from(length).map_err(|_| truncated())?)
    }

    pub(super) fn text(&mut self, wire: Wire) -> Result<&'a str, ProtobufError> {
        std::str::from_utf8(self.length_delimited(wire)?)
            .map_err(|_| ProtobufError::at("", "string field contains invalid UTF-8"))
    }

    /// Passes over a field this version does not know.
    pub(super) fn skip(&mut self, wire: Wire) -> Result<(), ProtobufError> {
        match wire {
            Wire::Varint => self.raw_varint().map(drop),
            Wire::Fixed64 => self.take(8).map(drop),
            Wire::Fixed32 => self.take(4).map(drop),
            Wire::Delimited => self.length_delimited(wire).map(drop),
            Wire::GroupEnd => Err(ProtobufError::at("", "wiretype end group for non-group")),
            Wire::GroupStart => self.skip_group(),
        }
    }

    fn skip_group(&mut self) -> Result<(), ProtobufError> {
        let mut open = 1usize;
        while open > 0 {
            let (_, wire) = self.key()?.ok_or_else(truncated)?;
            match wire {
                Wire::GroupStart if open == MOST_GROUPS => {
                    return Err(ProtobufError::at("", "groups are nested too deep"));
                }
                Wire::GroupStart => open += 1,
                Wire::GroupEnd => open -= 1,
                other => self.skip(other)?,
            }
        }
        Ok(())
    }
}

/// Writes values one after the other.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(super) fn varint(&mut self, number: u32, value: i64) {
        self.raw_varint(u64::from(number) << 3);
        self.raw_varint(value.cast_unsigned());
    }

    pub(super) fn double(&mut self, number: u32, value: f64) {
        self.raw_varint(u64::from(number) << 3 | 1);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, number: u32, value: &[u8]) {
        self.raw_varint(u64::from(number) << 3 | 2);
        self.raw_varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }
}
