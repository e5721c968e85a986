//! Vectors made in the server: `embed_text`, missing vectors, new ones, search by text.

use pgvector::Vector;
use vector_migrate_tests::models::{self, embed, reference};
use vector_migrate_tests::{Db, demo_store, store};

/// all-MiniLM-L6-v2 in fp32, mean pooling, normalised: cosines of these three and the first's first components.
const SENTENCES: [&str; 3] = [
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
];
const COSINES: [(usize, usize, f32); 3] = [(0, 1, 0.6660), (0, 2, 0.1046), (1, 2, 0.1411)];
const FIRST: [f32; 4] = [0.019_195_73, 0.120_085_4, 0.159_598_33, 0.067_065_92];

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn embed_text_gives_the_models_own_vectors() {
    let db = Db::new();
    let vectors = SENTENCES.map(|text| embed(&db, text));
    for (a, b, wanted) in COSINES {
        let found = cosine(&vectors[a], &vectors[b]);
        assert!((found - wanted).abs() < 0.0005, "{found} is not {wanted}");
    }
    for (found, wanted) in vectors[0].iter().zip(FIRST) {
        assert!((found - wanted).abs() < 1e-4, "{found} is not {wanted}");
    }
    for vector in &vectors {
        assert_eq!(vector.len(), 384);
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-5, "normalised");
    }
}

#[test]
fn reference_vectors_are_met_alone_and_in_a_batch() {
    let db = Db::new();
    let all = reference();
    assert!(all.len() >= 30);
    let alone: Vec<Vec<f32>> = all.iter().map(|one| embed(&db, &one.text)).collect();
    for (one, found) in all.iter().zip(&alone) {
        let same = models::cosine(found, &one.mean);
        assert!(same > 0.9999, "{:.40}: {same}", one.text);
        for (found, wanted) in found.iter().zip(&one.mean) {
            assert!((found - wanted).abs() < 1e-3, "{:.40}", one.text);
        }
    }
    // In a session that remembers none of them, each twice, with others of all lengths between.
    let session = db.session();
    let mut texts: Vec<String> = (0..200).map(|n| "more ".repeat(n * 7 % 250)).collect();
    texts.extend(all.iter().map(|one| one.text.clone()));
    texts.extend(all.iter().rev().map(|one| one.text.clone()));
    let rows = session.query("SELECT embed_text($1::text[])", &[&texts]);
    let vectors: Vec<Vec<f32>> = rows
        .iter()
        .map(|row| row.get::<_, Vector>(0).to_vec())
        .collect();
    for (n, found) in alone.iter().enumerate() {
        for at in [200 + n, vectors.len() - 1 - n] {
            let same = models::cosine(found, &vectors[at]);
            assert!(same > 0.99999, "{:.40}: {same}", all[n].text);
        }
    }
}

#[test]
fn a_text_that_comes_again_is_remembered() {
    let db = Db::new();
    embed(&db, "once");
    let before: i64 = db.one("SELECT memory_bytes FROM model_info()");
    assert!(before > 50 << 20, "the weights alone are 90 MB: {before}");
    db.run("SELECT embed_text(array_agg('again'::text)) FROM generate_series(1, 1000)");
    db.run("SELECT embed_text('again'::text)");
    let after: i64 = db.one("SELECT memory_bytes FROM model_info()");
    // A vector of 384 components is 1536 bytes.
    assert!(
        (1536..4000).contains(&(after - before)),
        "{}",
        after - before
    );
}

#[test]
fn an_array_of_texts_gives_vectors_in_order() {
    let db = Db::new();
    // Of different lengths, so that batches sort them; long ones are cut to what the model takes.
    let texts: Vec<String> = (0..40)
        .map(|n| format!("{} {}", SENTENCES[n % 3], "more words ".repeat(n * 37 % 50)))
        .collect();
    let rows = db.query("SELECT embed_text($1::text[])", &[&texts]);
    assert_eq!(rows.len(), texts.len());
    for (n, row) in rows.iter().enumerate().step_by(7) {
        let together: Vector = row.get(0);
        let alone = embed(&db, &texts[n]);
        let same = cosine(together.as_slice(), &alone);
        assert!(same > 0.9999, "text {n}: {same}");
    }
    assert!(db.query("SELECT embed_text('{}'::text[])", &[]).is_empty());
}

#[test]
fn the_same_text_gives_the_same_vector_in_every_session() {
    let db = Db::new();
    let one = embed(&db, SENTENCES[0]);
    let text = "SELECT embed_text('The weather is lovely today.')";
    let other: Vector = db.session().one(text);
    assert_eq!(one, other.to_vec());
}

#[test]
fn null_and_empty_texts_are_told_apart() {
    let db = Db::new();
    assert_eq!(db.line("SELECT embed_text(NULL::text) IS NULL"), "t");
    assert_eq!(db.line("SELECT vector_dims(embed_text(''))"), "384");
    assert_eq!(
        db.lines("SELECT v IS NULL FROM embed_text(ARRAY['a', NULL, '']) v"),
        ["f", "t", "f"]
    );
}

#[test]
fn model_info_says_which_model_it_is() {
    let db = Db::new();
    assert_eq!(
        db.line("SELECT dimension, max_tokens, pooling, loaded FROM model_info()"),
        "384|256|mean|f"
    );
    assert_eq!(
        db.line("SELECT path LIKE '/%', length(digest) >= 32, name <> '' FROM model_info()"),
        "t|t|t"
    );
    embed(&db, "x");
    assert_eq!(
        db.line("SELECT loaded, onnxruntime LIKE '1.%' FROM model_info()"),
        "t|t"
    );
}

#[test]
fn auto_embeds_only_what_has_no_vector() {
    let (db, source) = (Db::new(), store("special/no-vector"));
    let report = db.migrate(&source, "entity_target => NULL");
    assert_eq!((report.total().reused, report.total().embedded), (5, 3));
    // Two have a document, the third only its content.
    let ids = ["content-002", "content-004", "content-005"];
    for id in ids {
        let row = &db.query(
            "SELECT searchable_text, embedding FROM content_vectors WHERE id = $1",
            &[&id],
        )[0];
        let stored: Vector = row.get(1);
        let same = cosine(stored.as_slice(), &embed(&db, row.get(0)));
        assert!(same > 0.9999, "{id}: {same}");
    }
    assert!(db.line("SELECT model FROM vector_migrate.runs") != "∅");
}

#[test]
fn auto_never_replaces_a_stored_vector() {
    let (db, source) = (Db::new(), store("special/no-vector"));
    db.migrate(&source, "entity_target => NULL");
    let expected = vector_migrate_tests::Expected::of("special/no-vector");
    let collection = expected.collection("content");
    for record in collection
        .records
        .iter()
        .filter(|record| record.embedding.is_some())
    {
        let row = &db.query(
            "SELECT embedding FROM content_vectors WHERE id = $1",
            &[&record.id],
        )[0];
        collection.assert_vector(record, Some(row.get::<_, Vector>(0).as_slice()));
    }
}

#[test]
fn generate_replaces_every_vector_and_decides_the_dimension() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let report = db.migrate(
        &source,
        "collection => 'content', embeddings => 'generate', entity_target => NULL",
    );
    assert_eq!(
        (
            report.total().migrated,
            report.total().reused,
            report.total().embedded
        ),
        (33, 0, 33)
    );
    assert_eq!(
        db.line("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'content_vectors'::regclass AND attname = 'embedding'"),
        "vector(384)"
    );
    let row = &db.query(
        "SELECT searchable_text, embedding FROM content_vectors WHERE id = 'content-004'",
        &[],
    )[0];
    assert!(cosine(row.get::<_, Vector>(1).as_slice(), &embed(&db, row.get(0))) > 0.9999);
}

#[test]
fn generate_takes_collections_of_different_dimensions_together() {
    let (db, source) = (Db::new(), store("special/mixed-dimensions"));
    let report = db.migrate(&source, "embeddings => 'generate', entity_target => NULL");
    assert_eq!(report.outcome(), (12, 12, 0, 0));
}

#[test]
fn search_content_finds_by_meaning() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    db.migrate(
        &source,
        "collection => 'content', embeddings => 'generate', entity_target => NULL",
    );
    let first =
        |query: &str| db.lines(&format!("SELECT title FROM search_content({query})"))[0].clone();
    assert!(
        first("'how to bake a loaf'").starts_with("Bread with rye"),
        "{}",
        first("'how to bake a loaf'")
    );
    assert!(first("'cleaning up tables of a database'").starts_with("Vacuum without fear"));
    let lines = db.lines("SELECT user_id, similarity FROM search_content('moon and sea', '2', 3)");
    assert_eq!(lines.len(), 3);
    let similarity = |line: &String| {
        line.split('|')
            .nth(1)
            .and_then(|n| n.parse::<f64>().ok())
            .expect("a number")
    };
    assert!(lines.iter().all(|line| line.starts_with("2|")));
    assert!(
        lines
            .windows(2)
            .all(|pair| similarity(&pair[0]) >= similarity(&pair[1]))
    );
    assert_eq!(db.count("search_content('moon and sea')"), 5);
    let kinds = "SELECT DISTINCT full_content->>'content_type' FROM search_content('anything', content_type => 'podcast', match_count => 50)
                  WHERE full_content ? 'content_type'";
    assert_eq!(db.lines(kinds), ["podcast"]);
    assert_eq!(db.count("search_content('x', user_id => '99')"), 0);
}

#[test]
fn search_entities_finds_by_meaning() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    db.migrate(&source, "collection => 'content'");
    let first = "SELECT entity_name, entity_type FROM search_entities('relational database software', match_count => 1)";
    assert_eq!(db.line(first), "PostgreSQL|software");
    assert_eq!(
        db.count("search_entities('x', user_id => '2', match_count => 3)"),
        3
    );
    let of_user = "SELECT DISTINCT user_id FROM search_entities('x', user_id => '2')";
    assert_eq!(db.lines(of_user), ["2"]);
}

#[test]
fn search_uses_an_applications_table() {
    let (db, source) = (Db::new(), store("special/no-vector"));
    db.run("CREATE SCHEMA app");
    db.migrate(
        &source,
        "embeddings => 'generate', target => 'app.items', entity_target => NULL",
    );
    assert_eq!(
        db.count("search_content('bread', match_count => 100, target => 'app.items')"),
        8
    );
    db.error("SELECT * FROM search_content('bread', target => 'app.nothing')")
        .expect("42P01");
}

#[test]
fn the_sample_store_is_searchable_with_its_own_vectors() {
    let (db, source) = (Db::new(), demo_store());
    let report = db.migrate(&source, "entity_target => NULL");
    assert!(report.total().reused >= 200, "{report:?}");
    assert_eq!(report.total().embedded, 0);
    let rows = db.lines(
        "SELECT similarity > 0.3 FROM search_content('how do plants turn light into energy')",
    );
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[0], "t");
}
