//! Why a record was not migrated: the stable words of `vector_migrate.run_errors.reason`.
//!
//! Imports nothing of this crate.

/// Why a record was skipped or failed. The word is part of the SQL contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The record belongs to nobody, and orphans are skipped.
    NoUserId,
    /// The `user_id` column cannot hold the record's `user_id`.
    BadUserId,
    /// The table that `user_id` refers to has no such user.
    UserNotFound,
    /// The target has a row with this key already, and it is not to be updated.
    AlreadyExists,
    /// Another record of this run takes the same key.
    IdCollision,
    /// The target's key column cannot hold the record's id.
    BadId,
    /// The store has no vector for the record, and it could not be embedded.
    NoVector,
    /// The record has no text to embed.
    NoText,
    /// The record's vector has another number of dimensions than the target.
    DimensionMismatch,
    /// The vector holds NaN or an infinity, or does not fit the column's type.
    BadVector,
    /// A text holds U+0000, which PostgreSQL cannot store.
    BadText,
    /// `full_content` holds JSON that PostgreSQL cannot store.
    BadContent,
    /// A metadata value is of a type that its column cannot hold.
    BadValue,
    /// The server refused the row: a constraint, a length, a trigger.
    Constraint,
    /// A remark about a record that was migrated: its vector may be older than the rest of it.
    Stale,
    /// The store is damaged, and not all of the record can be read.
    Damaged,
}

impl Reason {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NoUserId => "no_user_id",
            Reason::BadUserId => "bad_user_id",
            Reason::UserNotFound => "user_not_found",
            Reason::AlreadyExists => "already_exists",
            Reason::IdCollision => "id_collision",
            Reason::BadId => "bad_id",
            Reason::NoVector => "no_vector",
            Reason::NoText => "no_text",
            Reason::DimensionMismatch => "dimension_mismatch",
            Reason::BadVector => "bad_vector",
            Reason::BadText => "bad_text",
            Reason::BadContent => "bad_content",
            Reason::BadValue => "bad_value",
            Reason::Constraint => "constraint",
            Reason::Stale => "stale",
            Reason::Damaged => "damaged",
        }
    }

    /// Whether the record was skipped by the caller's choice (`true`) or failed (`false`).
    pub fn is_skip(self) -> bool {
        matches!(
            self,
            Reason::NoUserId | Reason::UserNotFound | Reason::AlreadyExists
        )
    }
}

/// A record that is not migrated: the word and a sentence that names what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The stable word.
    pub reason: Reason,
    /// What is wrong, for a person.
    pub message: String,
}

impl Rejection {
    /// A rejection of the given kind.
    pub fn new(reason: Reason, message: impl Into<String>) -> Rejection {
        Rejection {
            reason,
            message: message.into(),
        }
    }
}
