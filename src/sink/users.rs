//! Which users exist, asked of the table that `user_id` refers to; each user is asked about once a run.

use std::collections::{BTreeSet, HashMap};

use crate::error::Error;
use crate::message::notice;
use crate::spi;
use crate::tables::Reference;

/// What is known of users so far.
#[derive(Debug, Default)]
pub struct Users {
    known: HashMap<String, bool>,
}

impl Users {
    /// Asks about those of `users` that are not known yet; one NOTICE for each that does not exist.
    ///
    /// # Errors
    /// The server's own, as for want of the SELECT privilege.
    pub fn learn<'a>(
        &mut self,
        table: &Reference,
        users: impl Iterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let unknown: BTreeSet<String> = users
            .filter(|user| !self.known.contains_key(*user))
            .map(str::to_owned)
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let Reference {
            name, column, ty, ..
        } = table;
        let column = spi::ident(column);
        let asked: Vec<String> = unknown.iter().cloned().collect();
        let found: BTreeSet<String> = spi::read(
            &format!(
                "SELECT t.{column}::pg_catalog.text FROM {name} t \
                  WHERE t.{column} OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[]::{ty}[])"
            ),
            &[asked.into()],
            |row| Ok(row.get::<String>(1)?.unwrap_or_default()),
        )?
        .into_iter()
        .collect();
        for user in unknown {
            let exists = found.contains(&user);
            if !exists {
                notice!("user {user} does not exist in {name}: this user's records are skipped");
            }
            self.known.insert(user, exists);
        }
        Ok(())
    }

    /// Whether a user was asked about.
    pub fn knows(&self, user: &str) -> bool {
        self.known.contains_key(user)
    }

    /// Whether a user that was asked about exists.
    pub fn exists(&self, user: &str) -> bool {
        self.known.get(user).copied().unwrap_or(false)
    }
}
