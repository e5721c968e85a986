//! Tuples of the server's own values: a field count, then each field.
//!
//! | bytes | |
//! | --- | --- |
//! | 4 | count of fields |
//! | 4 | of each field: the header of a value of variable length, these four bytes included; 0 for NULL |
//! | | the value as a table has it: what a pointer to the header points to, or without the header a `uuid`, or a number or time that is passed by value |
//!
//! Everything begins at a multiple of four bytes, and words are in the machine's byte order.

use super::array::ArrayImage;
use super::vector::{VectorType, append_vector};
use super::{jsonb, numeric, varlena};
use crate::reason::{Reason, Rejection};

/// Tuples under construction, one behind the other.
#[derive(Debug)]
pub struct TupleBuffer {
    bytes: Vec<u8>,
}

impl TupleBuffer {
    /// Begins behind what `bytes` holds: whole tuples, or nothing.
    pub fn behind(bytes: Vec<u8>) -> TupleBuffer {
        TupleBuffer { bytes }
    }

    /// Begins a tuple of `fields` fields, behind a whole one. A table has 1,600 columns at most.
    pub fn begin(&mut self, fields: usize) {
        let fields = i32::try_from(fields).unwrap_or(i32::MAX);
        self.bytes.extend_from_slice(&fields.to_ne_bytes());
    }

    /// Appends NULL.
    pub fn null(&mut self) {
        self.bytes.extend_from_slice(&[0; 4]);
    }

    /// Appends a field of these bytes.
    ///
    /// # Errors
    /// [`Reason::Constraint`] beyond 1 GB.
    pub fn field(&mut self, bytes: &[u8]) -> Result<(), Rejection> {
        self.bytes.extend_from_slice(&header(bytes.len())?);
        self.bytes.extend_from_slice(bytes);
        self.end_field();
        Ok(())
    }

    /// Appends text, or NULL.
    ///
    /// # Errors
    /// As [`TupleBuffer::field`].
    pub fn text(&mut self, text: Option<&str>) -> Result<(), Rejection> {
        match text {
            Some(text) => self.field(text.as_bytes()),
            None => {
                self.null();
                Ok(())
            }
        }
    }

    /// Appends an array.
    ///
    /// # Errors
    /// As [`TupleBuffer::field`].
    pub fn array(&mut self, array: &ArrayImage) -> Result<(), Rejection> {
        self.value(|out| {
            array.append(out);
            Ok(())
        })
    }

    /// Appends a `jsonb` field of valid JSON text.
    ///
    /// # Errors
    /// [`Reason::BadContent`] if `jsonb` cannot hold it, which the mapping has seen to; [`Reason::Constraint`] beyond 1 GB.
    pub fn jsonb(&mut self, text: &str) -> Result<(), Rejection> {
        self.value(|out| {
            jsonb::append(text, out)
                .ok_or_else(|| Rejection::new(Reason::BadContent, "a value does not fit jsonb"))
        })
    }

    /// Appends a `jsonb` field of any valid JSON.
    ///
    /// # Errors
    /// As [`TupleBuffer::jsonb`].
    pub fn jsonb_value(&mut self, text: &str) -> Result<(), Rejection> {
        if text.starts_with(['{', '[']) {
            return self.jsonb(text);
        }
        self.value(|out| {
            jsonb::append_scalar(text, out)
                .ok_or_else(|| Rejection::new(Reason::BadContent, "a value does not fit jsonb"))
        })
    }

    /// Appends a `numeric` field; `None`, with nothing appended, if the text is no number that `numeric` holds.
    pub fn numeric(&mut self, text: &str) -> Option<Result<(), Rejection>> {
        numeric::append(text, &mut self.bytes)?;
        self.end_field();
        Some(Ok(()))
    }

    /// Appends a field whose length is known when it is written.
    fn value(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        write(&mut self.bytes)?;
        let header = header(self.bytes.len() - start - 4)?;
        if let Some(place) = self.bytes.get_mut(start..start + 4) {
            place.copy_from_slice(&header);
        }
        self.end_field();
        Ok(())
    }

    fn end_field(&mut self) {
        let end = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(end, 0);
    }

    /// The tuples' bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// What stands before a field of `length` bytes.
fn header(length: usize) -> Result<[u8; 4], Rejection> {
    varlena::header(length.saturating_add(4)).ok_or_else(|| {
        let message = format!("a value of {length} bytes is beyond PostgreSQL's limit of 1 GB");
        Rejection::new(Reason::Constraint, message)
    })
}

/// Appends the embedding, the last field, to a tuple.
///
/// # Errors
/// As [`check_vector`](super::check_vector); then nothing is appended.
pub fn vector_field(values: &[f32], ty: VectorType, tuple: &mut Vec<u8>) -> Result<(), Rejection> {
    let start = tuple.len();
    tuple.extend_from_slice(&header(ty.bytes(ty.components(values.len())))?);
    let appended = append_vector(values, ty, tuple);
    if appended.is_err() {
        tuple.truncate(start);
    } else {
        tuple.resize(tuple.len().next_multiple_of(4), 0);
    }
    appended
}
