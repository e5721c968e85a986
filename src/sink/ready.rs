//! Rows with the vectors that they lacked.

use vector_migrate_core::encode::{EntityColumn, Form, VectorType, vector_field};
use vector_migrate_core::pipeline::Row;
use vector_migrate_core::reason::{Reason, Rejection};

use super::batch::Sink;
use crate::error::Error;
use crate::model;
use crate::tables::Target;

/// A record that is ready to load.
#[derive(Debug)]
pub struct Ready {
    /// The row.
    pub row: Row,
    /// Its content tuple, without the embedding if that was made here.
    pub tuple: Vec<u8>,
    /// Its embedding's field, if it was made here; else the row's tuple has it.
    pub(super) vector: Vec<u8>,
    /// The embedding was made here.
    pub(super) embedded: bool,
    /// The embedding field of each entity row.
    pub(super) entity_vectors: Vec<Vec<u8>>,
    /// The target has its key: overwrite.
    pub(super) exists: bool,
    /// How often the target turned out to be another than was known.
    pub(super) surprises: u8,
}

impl Ready {
    /// The whole content tuple.
    pub fn content_tuple(&self) -> Vec<u8> {
        [self.tuple.as_slice(), &self.vector].concat()
    }
}

/// A COPY field of NULL.
const NULL_FIELD: [u8; 4] = (-1i32).to_be_bytes();

/// A field of a vector.
fn field(values: &[f32], ty: VectorType, form: Form) -> Result<Vec<u8>, Rejection> {
    let mut field = Vec::with_capacity(4 + ty.bytes(values.len()));
    vector_field(values, ty, form, &mut field).map(|()| field)
}

impl Sink {
    /// Makes the vectors that the rows lack, and those of their entities. Their tuples are in `tuples`.
    pub(super) fn with_vectors(
        &mut self,
        rows: Vec<(Row, bool)>,
        tuples: &[u8],
    ) -> Result<Vec<Ready>, Error> {
        // Together, so that they are sorted by length together; the rows' own first.
        let mut texts: Vec<&str> = rows
            .iter()
            .filter(|(row, _)| !row.has_vector)
            .map(|(row, _)| row.text.as_str())
            .collect();
        let missing = texts.len();
        if self.embeds_entities {
            let entities = rows.iter().flat_map(|(row, _)| &row.entities);
            texts.extend(entities.map(|entity| entity.text.as_str()));
        }
        let why = match missing {
            0 => "the store has entities, which are embedded",
            _ => "records without a vector need one",
        };
        let mut made = model::embed(why, &texts)?;
        let mut entity_vectors = made.split_off(missing.min(made.len())).into_iter();
        let mut made = made.into_iter();
        let into = self.into_content.as_ref();
        let form = into.map_or(Form::Copy, |content| content.via.form());
        let mut ready = Vec::with_capacity(rows.len());
        for (row, exists) in rows {
            let encoded = if row.has_vector {
                Ok(Vec::new())
            } else {
                match made.next() {
                    Some(values) => field(&values, self.content.vector, form).map_err(no_vector),
                    None => Err(Rejection::new(Reason::NoVector, "the model gave no vector")),
                }
            };
            let mut fields = Vec::with_capacity(row.entities.len());
            let mut refused = None;
            for _ in &row.entities {
                let Some(target) = self.entity.as_ref().filter(|_| self.embeds_entities) else {
                    fields.push(NULL_FIELD.to_vec());
                    continue;
                };
                let values = entity_vectors.next().unwrap_or_default();
                match field(&values, target.vector, target.via.form()) {
                    Ok(field) => fields.push(field),
                    // Every entity would be refused: that is no fault of the record.
                    Err(rejection) if rejection.reason == Reason::DimensionMismatch => {
                        return Err(wrong_dimension(target, values.len()));
                    }
                    Err(rejection) => refused = Some(rejection),
                }
            }
            match (encoded, refused) {
                (Ok(vector), None) => ready.push(Ready {
                    embedded: !row.has_vector,
                    vector,
                    tuple: tuples.get(row.tuple.clone()).unwrap_or_default().to_vec(),
                    row,
                    entity_vectors: fields,
                    exists,
                    surprises: 0,
                }),
                (Err(rejection), _) | (_, Some(rejection)) => {
                    self.reject_row(&row, rejection.reason, rejection.message);
                }
            }
        }
        Ok(ready)
    }
}

/// The store has no vector, and the model's does not fit: what is missing is still the store's.
fn no_vector(rejection: Rejection) -> Rejection {
    match rejection.reason {
        Reason::DimensionMismatch => Rejection::new(
            Reason::NoVector,
            format!(
                "the store has no vector for this record, and the model's does not fit: {}",
                rejection.message
            ),
        ),
        _ => rejection,
    }
}

/// The model does not fit the entity table.
fn wrong_dimension(target: &Target<EntityColumn>, has: usize) -> Error {
    Error::WrongDimension {
        what: "the embedding model".to_owned(),
        has: u32::try_from(has).unwrap_or(u32::MAX),
        target: target.name.clone(),
        wants: target.vector.dimension.unwrap_or_default(),
        hint: "Name another table with entity_target, or none (NULL), or load entities without \
               vectors by embeddings => 'stored'."
            .to_owned(),
    }
}
