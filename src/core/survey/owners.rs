//! stub
use crate::encode::{ColumnType, canonical_key};
use crate::record::{Collection, Value};
use crate::source::chroma::ChromaStore;
use crate::source::{Source, SourceError};
use std::ops::ControlFlow;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
/// k
pub enum OwnerKind {
    /// i
    Integers,
    /// u
    Uuids,
    /// t
    Text,
}
/// o
#[derive(Debug)]
pub struct Ownership {
    /// o
    pub owned: Vec<bool>,
    /// k
    pub kind: Option<OwnerKind>,
}
/// f
pub fn ownership(
    store: &ChromaStore,
    collections: &[Collection],
    key: &str,
    clean: &dyn Fn(&str) -> String,
    _wants_kind: bool,
) -> Result<Ownership, SourceError> {
    let mut out = Ownership {
        owned: vec![],
        kind: None,
    };
    for c in collections {
        let mut owned = false;
        store.read(c, &mut |r| {
            let t = match r.metadata.get(key) {
                Some(Value::Str(t)) => Some(clean(t)).filter(|t| !t.trim().is_empty()),
                Some(Value::Int(n)) => Some(n.to_string()),
                Some(Value::Float(n)) => Some(n.to_string()),
                Some(_) => {
                    owned = true;
                    None
                }
                None => None,
            };
            if let Some(t) = t.filter(|t| !t.contains('\0')) {
                owned = true;
                let k = if canonical_key(ColumnType::Int8, &t).is_ok() {
                    OwnerKind::Integers
                } else if canonical_key(ColumnType::Uuid, &t).is_ok() {
                    OwnerKind::Uuids
                } else {
                    OwnerKind::Text
                };
                out.kind = Some(match out.kind {
                    None => k,
                    Some(o) if o == k => k,
                    _ => OwnerKind::Text,
                });
            }
            ControlFlow::Continue(())
        })?;
        out.owned.push(owned);
    }
    Ok(out)
}
