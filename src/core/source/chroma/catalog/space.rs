//! The distance space of a collection: Chroma keeps it in up to three places, which may disagree.
//!
//! Stage: source. Promise: the space under which the vectors were stored. May import `record`.
//!
//! 1. `schema_str` (1.3 and later): `keys."#embedding".float_list.vector_index.config.space`, else the same under
//!    `defaults`.
//! 2. else `config_json_str` of 1.0 to 1.2: `vector_index.hnsw.space`. The form of 0.5.4 to 0.6.3
//!    (`hnsw_configuration`) says `l2` of every collection and is never used.
//! 3. if that is missing or `l2`: `hnsw:space` of the vector segment's metadata, which 0.x wrote at creation.
//! 4. else `l2`.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::record::{Metadata, Space, Value};

/// Chroma's configuration of a collection.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    schema: Option<Json>,
    config: Option<Json>,
    /// Columns whose text is not JSON.
    pub broken: Vec<&'static str>,
}

/// The space that is taken, and what says otherwise.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ChosenSpace {
    /// The space.
    pub space: Space,
    /// What else the store says, if the places disagree: the place and its word.
    pub other: Option<(&'static str, String)>,
}

impl Configuration {
    /// Reads both columns; what is not JSON counts as absent, and is named.
    pub fn parse(schema: Option<&str>, config: Option<&str>) -> Configuration {
        let mut broken = Vec::new();
        let mut json = |column: &'static str, text: Option<&str>| {
            let text = text.filter(|text| !text.trim().is_empty())?;
            let json = serde_json::from_str::<Json>(text)
                .inspect_err(|_| broken.push(column))
                .ok()?;
            Some(json).filter(|json| json.as_object().is_some_and(|object| !object.is_empty()))
        };
        let schema = json("schema_str", schema);
        let config =
            json("config_json_str", config).filter(|json| json.get("hnsw_configuration").is_none());
        Configuration {
            schema,
            config,
            broken,
        }
    }

    /// The space; the error is a word that no release writes.
    pub fn space(&self, segment: &Metadata) -> Result<ChosenSpace, String> {
        let told = match (&self.schema, &self.config) {
            (Some(schema), _) => {
                let under = |root: &str| {
                    schema
                        .pointer(&format!("{root}/float_list/vector_index/config/space"))
                        .and_then(Json::as_str)
                };
                under("/keys/#embedding").or_else(|| under("/defaults"))
            }
            (None, Some(config)) => config
                .pointer("/vector_index/hnsw/space")
                .and_then(Json::as_str),
            (None, None) => None,
        };
        let told = told
            .map(|word| Space::from_word(word).ok_or(word))
            .transpose()?;
        let created = segment.get("hnsw:space").and_then(Value::as_str);
        let taken = match (told, created) {
            (None | Some(Space::L2), Some(word)) => Space::from_word(word).ok_or(word)?,
            (told, _) => told.unwrap_or(Space::L2),
        };
        let other = match (told, created) {
            (Some(told), Some(_)) if told != taken => Some(("the configuration", told.to_string())),
            (Some(_), Some(word)) if word != taken.as_str() => {
                Some(("the segment's metadata", word.to_owned()))
            }
            _ => None,
        };
        Ok(ChosenSpace {
            space: taken,
            other,
        })
    }

    /// Metadata keys that the collection's schema knows; `None` before 1.3.
    pub fn keys(&self) -> Option<BTreeSet<String>> {
        let keys = self.schema.as_ref()?.get("keys")?.as_object()?;
        Some(keys.keys().cloned().collect())
    }

    /// The configuration as JSON: the schema, the configuration, or what 0.x kept with the segment.
    pub fn into_json(self, segment: &Metadata) -> Json {
        if let Some(json) = self.schema.or(self.config) {
            return json;
        }
        let kept: serde_json::Map<String, Json> = segment
            .iter()
            .filter_map(|(key, value)| Some((key.to_owned(), scalar(value)?)))
            .collect();
        if kept.is_empty() {
            Json::Null
        } else {
            Json::Object(kept)
        }
    }
}

fn scalar(value: &Value) -> Option<Json> {
    match value {
        Value::Bool(on) => Some(Json::Bool(*on)),
        Value::Int(number) => Some(Json::from(*number)),
        Value::Float(number) => serde_json::Number::from_f64(*number).map(Json::Number),
        Value::Str(text) => Some(Json::String(text.clone())),
        Value::List(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(
        schema: Option<&str>,
        config: Option<&str>,
        segment: Option<&str>,
    ) -> Result<ChosenSpace, String> {
        let mut metadata = Metadata::default();
        if let Some(word) = segment {
            metadata.set("hnsw:space", Value::Str(word.to_owned()));
        }
        Configuration::parse(schema, config).space(&metadata)
    }

    const SCHEMA: &str = r##"{"defaults":{"float_list":{"vector_index":{"config":{"space":"l2"}}}},
        "keys":{"#embedding":{"float_list":{"vector_index":{"config":{"space":"cosine"}}}},"n":{}}}"##;

    #[test]
    fn the_schema_is_trusted_first() {
        let config = r#"{"vector_index":{"hnsw":{"space":"ip"}}}"#;
        assert_eq!(
            chosen(Some(SCHEMA), Some(config), None).unwrap().space,
            Space::Cosine
        );
        assert_eq!(
            chosen(Some("null"), Some(config), None).unwrap().space,
            Space::Ip
        );
        assert_eq!(chosen(Some(""), None, None).unwrap().space, Space::L2);
    }

    #[test]
    fn the_configuration_of_0_5_is_never_used() {
        let config = r#"{"hnsw_configuration": {"space": "l2"}}"#;
        let found = chosen(None, Some(config), Some("cosine")).unwrap();
        assert_eq!(
            found,
            ChosenSpace {
                space: Space::Cosine,
                other: None
            }
        );
    }

    #[test]
    fn a_disagreement_names_the_other_word() {
        let config = r#"{"vector_index":{"hnsw":{"space":"l2"}}}"#;
        let found = chosen(None, Some(config), Some("cosine")).unwrap();
        assert_eq!(found.space, Space::Cosine);
        assert_eq!(found.other, Some(("the configuration", "l2".to_owned())));
        let found = chosen(Some(SCHEMA), None, Some("ip")).unwrap();
        assert_eq!(found.space, Space::Cosine);
        assert_eq!(
            found.other,
            Some(("the segment's metadata", "ip".to_owned()))
        );
    }

    #[test]
    fn an_unknown_word_is_an_error() {
        assert_eq!(chosen(None, None, Some("hamming")).unwrap_err(), "hamming");
    }
}
