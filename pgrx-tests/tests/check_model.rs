//! `check_model`: whether a store's vectors are those of the server's model.

use vector_migrate_tests::{Db, Store, demo_store, store};

/// Records sampled, least and median cosine, and the verdict, of a store of one collection.
fn checked(db: &Db, source: &Store) -> (i32, Option<f64>, Option<f64>, String) {
    let rows = db.query(&format!("SELECT * FROM check_model({})", source.sql()), &[]);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    (row.get(1), row.get(2), row.get(3), row.get(4))
}

/// The demo store with its vectors in the queue only, where they can be changed by SQL: `vector` is what each becomes.
fn in_the_queue(vector: &str) -> Store {
    let source = demo_store();
    source.damage(&format!(
        "DELETE FROM embeddings_queue WHERE vector IS NULL;
         DELETE FROM embedding_metadata WHERE id NOT IN
             (SELECT e.id FROM embeddings e JOIN embeddings_queue q ON q.id = e.embedding_id);
         DELETE FROM embeddings WHERE embedding_id NOT IN (SELECT id FROM embeddings_queue);
         CREATE TEMP TABLE old AS SELECT seq_id, vector FROM embeddings_queue;
         UPDATE embeddings_queue SET vector = {vector}"
    ));
    source
}

#[test]
fn the_models_own_vectors_are_the_same_model() {
    let (db, source) = (Db::new(), demo_store());
    let (sampled, min, median, said) = checked(&db, &source);
    assert_eq!(said, "same model");
    assert!((40..=64).contains(&sampled), "{sampled}");
    assert!(min.expect("a minimum") >= 0.99 && median.expect("a median") >= 0.999);
    let four = format!("SELECT sampled FROM check_model({}, NULL, 4)", source.sql());
    assert_eq!(db.one::<i32>(&four), 4);
}

#[test]
fn vectors_of_other_texts_are_different() {
    let db = Db::new();
    let source = in_the_queue(
        "coalesce((SELECT vector FROM old WHERE old.seq_id > embeddings_queue.seq_id ORDER BY seq_id LIMIT 1),
                  (SELECT vector FROM old ORDER BY seq_id LIMIT 1))",
    );
    let (sampled, _, median, said) = checked(&db, &source);
    assert_eq!(said, "different");
    assert!(sampled > 10 && median.expect("a median") < 0.9);
}

#[test]
fn what_cannot_be_compared_is_told() {
    let db = Db::new();
    let nothing = (0, None, None, "not comparable".to_owned());
    let silent = demo_store();
    silent.damage("DELETE FROM embedding_metadata WHERE key = 'chroma:document'");
    assert_eq!(checked(&db, &silent), nothing);
    let other = store("special/two-collections");
    let said = db.lines(&format!(
        "SELECT DISTINCT sampled || ' ' || verdict FROM check_model({})",
        other.sql()
    ));
    assert_eq!(said, ["0 not comparable"]);
}

#[test]
fn a_sample_of_nothing_and_a_missing_model_are_refused() {
    let (db, source) = (Db::new(), demo_store());
    for sample in ["0", "-1", "10001"] {
        let sql = format!("SELECT check_model({}, NULL, {sample})", source.sql());
        db.refused(&sql, "22023");
    }
    let session = db.session();
    session.run("SET vector_migrate.model_path = '/no/such/model'");
    session.refused(&format!("SELECT check_model({})", source.sql()), "55000");
}
