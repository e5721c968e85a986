//! Arrays in the binary form that COPY takes, built element by element.

use pgrx::pg_sys;
use vector_migrate_core::encode::TupleBuffer;
use vector_migrate_core::reason::{Reason, Rejection};

/// A one-dimensional array under construction.
#[derive(Debug, Default)]
pub struct ArrayBytes {
    elements: Vec<u8>,
    count: i32,
    has_null: bool,
}

impl ArrayBytes {
    /// Appends an element.
    ///
    /// # Errors
    /// [`Reason::Constraint`] beyond 2 GB.
    pub fn push(&mut self, element: Option<&[u8]>) -> Result<(), Rejection> {
        let length = match element {
            Some(bytes) => i32::try_from(bytes.len())
                .map_err(|_| Rejection::new(Reason::Constraint, "longer than 2 GB"))?,
            None => -1,
        };
        self.elements.extend_from_slice(&length.to_be_bytes());
        self.elements.extend_from_slice(element.unwrap_or_default());
        self.has_null |= element.is_none();
        self.count += 1;
        Ok(())
    }

    /// Elements so far.
    pub fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(0)
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.elements.len()
    }

    /// Appends the array, of elements of type `ty`, to a tuple.
    ///
    /// # Errors
    /// As [`TupleBuffer::field`].
    pub fn write(&self, out: &mut TupleBuffer, ty: pg_sys::Oid) -> Result<(), Rejection> {
        // array_recv: dimensions, whether there are nulls, element type, length, lower bound, elements.
        out.field_parts(&[
            &1i32.to_be_bytes(),
            &i32::from(self.has_null).to_be_bytes(),
            &u32::from(ty).to_be_bytes(),
            &self.count.to_be_bytes(),
            &1i32.to_be_bytes(),
            &self.elements,
        ])
    }
}
