//! The preset that a table's columns say.

use super::preset::{Preset, Types, presets};

/// A column of a table, as far as its name and type say which application made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Its name.
    pub name: String,
    /// Its base type's name (`pg_type.typname`).
    pub ty: String,
    /// A metadata value can go into it: it is of a type that takes one, and no generated column.
    pub takes_values: bool,
}

/// What the columns of a table say.
#[derive(Debug, Clone, Copy)]
pub enum Detected {
    /// This preset's.
    Fits(&'static Preset),
    /// Those of two.
    Both(&'static Preset, &'static Preset),
    /// This preset's by their names, but for the type of one of them.
    Nearly {
        /// The preset.
        preset: &'static Preset,
        /// The column's place in its signature.
        at: usize,
    },
    /// Nobody's.
    Nothing,
}

/// Looks at the columns of a table. The content library's are looked for first, then the longest signature that fits.
pub fn detect(columns: &[Sight]) -> Detected {
    let mut fitting: Option<&'static Preset> = None;
    let mut second = None;
    let mut nearly: Option<(&'static Preset, usize)> = None;
    let length = |preset: &Preset| preset.signature.0.len();
    for preset in presets() {
        match misfit(columns, &preset.signature) {
            Some(Fit::Whole) if preset.is_content_library() => return Detected::Fits(preset),
            Some(Fit::Whole) => match fitting {
                Some(best) if length(best) > length(preset) => {}
                Some(best) if length(best) == length(preset) => second = Some(preset),
                _ => (fitting, second) = (Some(preset), None),
            },
            Some(Fit::But(at)) if nearly.is_none_or(|(it, _)| length(it) < length(preset)) => {
                nearly = Some((preset, at));
            }
            _ => {}
        }
    }
    match (fitting, second, nearly) {
        (Some(one), Some(other), _) => Detected::Both(one, other),
        (Some(one), None, _) => Detected::Fits(one),
        (None, _, Some((preset, at))) => Detected::Nearly { preset, at },
        (None, _, None) => Detected::Nothing,
    }
}

/// How far a signature fits whose columns are all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Whole,
    /// But for the type of the column at this place.
    But(usize),
}

fn misfit(columns: &[Sight], signature: &Types) -> Option<Fit> {
    if signature.0.is_empty() {
        return None;
    }
    let mut fit = Fit::Whole;
    for (at, (name, types)) in signature.0.iter().enumerate() {
        let column = columns.iter().find(|column| column.name == *name)?;
        if fit == Fit::Whole && !types.is_empty() && !types.contains(&column.ty) {
            fit = Fit::But(at);
        }
    }
    Some(fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, &str)]) -> Vec<Sight> {
        let sight = |(name, ty): &(&str, &str)| Sight {
            name: (*name).to_owned(),
            ty: (*ty).to_owned(),
            takes_values: true,
        };
        columns.iter().map(sight).collect()
    }

    fn found(columns: &[(&str, &str)]) -> &'static str {
        match detect(&table(columns)) {
            Detected::Fits(preset) => &preset.name,
            other => panic!("{other:?}"),
        }
    }

    /// A table of each type that the signature allows.
    fn of_signature(preset: &Preset) -> Vec<Vec<Sight>> {
        let most = preset.signature.0.iter().map(|it| it.1.len()).max();
        let ty = |types: &Vec<String>, n: usize| {
            let at = n.min(types.len().saturating_sub(1));
            types
                .get(at)
                .map_or_else(|| "text".to_owned(), String::clone)
        };
        let columns = |n: usize| {
            let of = |(name, types): &(String, Vec<String>)| Sight {
                name: name.clone(),
                ty: ty(types, n),
                takes_values: true,
            };
            preset.signature.0.iter().map(of).collect()
        };
        (0..most.unwrap_or(0)).map(columns).collect()
    }

    #[test]
    fn every_signature_is_its_own_presets_only() {
        for preset in presets() {
            for columns in of_signature(preset) {
                let found = detect(&columns);
                assert!(
                    matches!(found, Detected::Fits(it) if it.name == preset.name),
                    "{} {found:?}",
                    preset.name
                );
            }
        }
    }

    #[test]
    fn columns_more_do_not_matter_and_the_longest_signature_wins() {
        let legacy = [
            ("uuid", "uuid"),
            ("collection_id", "uuid"),
            ("embedding", "vector"),
            ("document", "varchar"),
            ("cmetadata", "jsonb"),
            ("custom_id", "varchar"),
            ("id", "varchar"),
        ];
        assert_eq!(found(&legacy), "langchain_legacy");
        let own = [
            ("id", "int8"),
            ("content", "text"),
            ("metadata", "jsonb"),
            ("embedding", "vector"),
            ("tenant", "text"),
        ];
        assert_eq!(found(&own), "supabase_documents");
    }

    #[test]
    fn two_of_one_length_are_both_told() {
        let both = [
            ("id", "uuid"),
            ("text", "text"),
            ("content", "text"),
            ("metadata", "jsonb"),
            ("embedding", "vector"),
        ];
        let Detected::Both(one, other) = detect(&table(&both)) else {
            panic!()
        };
        assert_eq!([&one.name, &other.name], ["langchain_js", "spring_ai"]);
    }

    #[test]
    fn a_type_that_does_not_fit_is_told() {
        let crypted = [
            ("id", "text"),
            ("vector", "vector"),
            ("collection_name", "text"),
            ("text", "bytea"),
            ("vmetadata", "bytea"),
        ];
        let Detected::Nearly { preset, at } = detect(&table(&crypted)) else {
            panic!()
        };
        assert_eq!(
            (&*preset.name, &*preset.signature.0[at].0),
            ("open_webui", "text")
        );
        assert!(matches!(
            detect(&table(&[("id", "text")])),
            Detected::Nothing
        ));
    }
}
