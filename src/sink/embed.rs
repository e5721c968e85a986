//! Rows with the vectors that they lacked.

use std::rc::Rc;

use vector_migrate_core::encode::{VectorType, vector_field};
use vector_migrate_core::pipeline::EncodedRow;
use vector_migrate_core::reason::{Reason, Rejection};

use super::sort::WantedRow;
use super::{Described, Recorder};
use crate::error::Error;
use crate::model;
use crate::tables::Target;

/// Rows loaded in one step where vectors are made: enough texts that sorting them by length pays, few enough that
/// progress is told.
const SLOW_STEP: usize = 256;

/// A row that has all its vectors.
#[derive(Debug)]
pub struct EmbeddedRow {
    /// The row.
    pub row: EncodedRow,
    /// The target has its key: overwrite.
    pub exists: bool,
    /// Its content tuple, without the embedding if that was made here.
    pub tuple: Vec<u8>,
    /// Its embedding's field, if it was made here; else the row's tuple has it.
    pub vector: Vec<u8>,
    /// The embedding was made here.
    pub embedded: bool,
    /// The embedding field of each entity row.
    pub entity_vectors: Vec<Vec<u8>>,
}

impl EmbeddedRow {
    /// The whole content tuple.
    pub fn content_tuple(&self) -> Vec<u8> {
        [self.tuple.as_slice(), &self.vector].concat()
    }

    /// The whole tuples of its entity rows.
    pub fn entity_tuples(&self) -> impl Iterator<Item = Vec<u8>> {
        let entities = self.row.entities.iter().zip(&self.entity_vectors);
        entities.map(|(entity, vector)| [entity.tuple.as_slice(), vector].concat())
    }
}

type Vectors = Vec<Vec<f32>>;

/// A field of NULL.
const NULL_FIELD: [u8; 4] = [0; 4];

/// A field of a vector.
fn field(values: &[f32], ty: VectorType) -> Result<Vec<u8>, Rejection> {
    let mut field = Vec::with_capacity(4 + ty.bytes(ty.components(values.len())));
    vector_field(values, ty, &mut field).map(|()| field)
}

/// Makes vectors of the texts of rows.
#[derive(Debug)]
pub struct RowEmbedder {
    /// The content table's embedding column.
    vector: VectorType,
    /// The entity table, if vectors of its rows are made.
    entity: Option<Rc<Target>>,
}

impl RowEmbedder {
    /// For rows of the tables described. `embeds_entities`: else the embeddings of entity rows are NULL.
    pub fn new(described: &Described, embeds_entities: bool) -> RowEmbedder {
        RowEmbedder {
            vector: described.content.vector,
            entity: described.entity.clone().filter(|_| embeds_entities),
        }
    }

    /// Whether the vectors of entity rows are made here.
    pub fn embeds_entities(&self) -> bool {
        self.entity.is_some()
    }

    /// Rows to embed in one step: all, or few where the model takes its time, so that progress is told.
    pub fn step(&self, rows: &[WantedRow]) -> usize {
        let slow = |WantedRow { row, .. }: &WantedRow| {
            !row.has_vector || (self.embeds_entities() && !row.entities.is_empty())
        };
        if rows.iter().any(slow) {
            SLOW_STEP
        } else {
            rows.len()
        }
    }

    /// Makes the vectors that the rows lack, and those of their entities. Their tuples are in `tuples`. Rows whose vectors do
    /// not fit are in the report afterwards.
    ///
    /// # Errors
    /// The model's; [`Error::WrongDimension`] of the entity table.
    pub fn embed(
        &self,
        rows: Vec<WantedRow>,
        tuples: &[u8],
        recorder: &mut Recorder,
    ) -> Result<Vec<EmbeddedRow>, Error> {
        let (made, entity_vectors) = self.vectors(&rows)?;
        let (mut made, mut entity_vectors) = (made.into_iter(), entity_vectors.into_iter());
        let mut embedded = Vec::with_capacity(rows.len());
        for WantedRow { row, exists } in rows {
            let vector = if row.has_vector {
                Ok(Vec::new())
            } else {
                match made.next() {
                    Some(values) => field(&values, self.vector).map_err(no_vector),
                    None => Err(Rejection::new(Reason::NoVector, "the model gave no vector")),
                }
            };
            let fields = self.entity_fields(&row, &mut entity_vectors)?;
            match vector.and_then(|vector| Ok((vector, fields?))) {
                Ok((vector, entity_vectors)) => embedded.push(EmbeddedRow {
                    embedded: !row.has_vector,
                    vector,
                    tuple: tuples.get(row.tuple.clone()).unwrap_or_default().to_vec(),
                    row,
                    exists,
                    entity_vectors,
                }),
                Err(rejection) => recorder.reject_row(&row, rejection.reason, rejection.message),
            }
        }
        Ok(embedded)
    }

    /// The vectors of the rows that have none, and those of all rows' entities, in order. Together, so that their texts are
    /// sorted by length together.
    fn vectors(&self, rows: &[WantedRow]) -> Result<(Vectors, Vectors), Error> {
        let without = rows.iter().filter(|it| !it.row.has_vector);
        let mut texts: Vec<&str> = without.map(|it| it.row.text.as_str()).collect();
        let missing = texts.len();
        if self.embeds_entities() {
            let entities = rows.iter().flat_map(|it| &it.row.entities);
            texts.extend(entities.map(|entity| entity.text.as_str()));
        }
        let why = match missing {
            0 => "the store has entities, which are embedded",
            _ => "records without a vector need one",
        };
        let mut made = model::embed(why, &texts)?;
        let entities = made.split_off(missing.min(made.len()));
        Ok((made, entities))
    }

    /// The embedding fields of a row's entities, of which the next vectors are; or why one does not fit.
    fn entity_fields(
        &self,
        row: &EncodedRow,
        vectors: &mut impl Iterator<Item = Vec<f32>>,
    ) -> Result<Result<Vec<Vec<u8>>, Rejection>, Error> {
        let Some(target) = &self.entity else {
            return Ok(Ok(vec![NULL_FIELD.to_vec(); row.entities.len()]));
        };
        let mut fields = Vec::with_capacity(row.entities.len());
        // All of them are taken, whether one does not fit or not.
        for values in vectors.take(row.entities.len()) {
            let field = field(&values, target.vector);
            if let Err(rejection) = &field
                && rejection.reason == Reason::DimensionMismatch
            {
                // Every entity would be refused: that is no fault of the record.
                return Err(wrong_dimension(target, values.len()));
            }
            fields.push(field);
        }
        Ok(fields.into_iter().collect())
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
fn wrong_dimension(target: &Target, has: usize) -> Error {
    Error::WrongDimension {
        what: "the embedding model".to_owned(),
        has: u32::try_from(has).unwrap_or(u32::MAX),
        target: target.name.clone(),
        column: target.vector_column.clone(),
        wants: target.vector.dimension.unwrap_or_default(),
        hint: "Name another table with entity_target, or none (NULL), or load entities without \
               vectors by embeddings => 'stored'."
            .to_owned(),
    }
}
