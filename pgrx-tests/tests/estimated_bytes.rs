//! What `chroma_store` says a migration will take, against the tables that it makes.

use vector_migrate_tests::{Db, Shape, Store, demo_store, store_like};

/// Records of 384 dimensions with a document of 600 bytes and six metadata keys.
const USUAL: Shape = Shape {
    name: "usual",
    records: 2_000,
    dimension: 384,
    document: 600,
    keys: 6,
    content: 0,
    entities: 0,
};

#[rustfmt::skip]
const SHAPES: [Shape; 14] = [
    USUAL,
    Shape { name: "small documents", document: 80, keys: 2, ..USUAL },
    Shape { name: "large documents", records: 500, document: 20_000, ..USUAL },
    Shape { name: "books", records: 100, document: 30_000, content: 28_000, ..USUAL },
    Shape { name: "many metadata keys", keys: 80, ..USUAL },
    Shape { name: "large full_content", records: 500, content: 15_000, ..USUAL },
    Shape { name: "entities", records: 400, content: 500, entities: 5, ..USUAL },
    Shape { name: "8 dimensions", records: 5_000, dimension: 8, ..USUAL },
    Shape { name: "768 dimensions", records: 1_000, dimension: 768, document: 1_500, ..USUAL },
    Shape { name: "1536 dimensions", records: 600, dimension: 1_536, document: 1_000, ..USUAL },
    Shape { name: "1536 dimensions, large documents", records: 400, dimension: 1_536, document: 6_000, ..USUAL },
    Shape { name: "2000 dimensions", records: 300, dimension: 2_000, ..USUAL },
    Shape { name: "3072 dimensions", records: 300, dimension: 3_072, ..USUAL },
    Shape { name: "ten records", records: 10, content: 500, entities: 2, ..USUAL },
];

/// The estimate, and what the tables take.
fn measure(source: &Store) -> (f64, f64) {
    let db = Db::new();
    let estimate: i64 = db.one(&format!(
        "SELECT estimated_bytes FROM chroma_store({})",
        source.sql()
    ));
    db.migrate(source, "NULL");
    let real: i64 = db.one(
        "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
          WHERE relname IN ('content_vectors', 'entity_vectors')",
    );
    (estimate as f64, real as f64)
}

/// Bytes that the server has a table grow ahead of its rows: from PostgreSQL 16 on up to 64 pages (`MAX_BUFFERS_TO_EXTEND_BY` in
/// hio.c), of two tables.
fn ahead() -> f64 {
    let version: i32 = Db::new().one("SELECT current_setting('server_version_num')::int");
    f64::from(u8::from(version >= 160_000)) * 2.0 * 64.0 * 8192.0
}

#[test]
fn the_estimated_bytes_are_within_a_fifth_of_those_of_the_tables() {
    let mut found = vec![("the sample store", measure(&demo_store()))];
    found.extend(SHAPES.map(|shape| (shape.name, measure(&store_like(&shape)))));
    let (ahead, mut wrong) = (ahead(), Vec::new());
    for (name, (estimate, real)) in found {
        let percent = (estimate / real - 1.0) * 100.0;
        println!("| {name} | {real} | {estimate} | {percent:+.0}% |");
        if percent > 20.0 || (estimate + ahead) / real < 0.8 {
            wrong.push(format!("{name}: {percent:+.0}%"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
