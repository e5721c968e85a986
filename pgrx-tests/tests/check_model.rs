//! `check_model`: whether a store's vectors are those of the server's model.

use vector_migrate_tests::{Db, Store, demo_store, queued_demo_store, store};

/// Records sampled, least and median cosine, and the verdict, of a store of one collection.
fn checked(db: &Db, source: &Store) -> (i32, Option<f64>, Option<f64>, String) {
    let rows = db.query(&format!("SELECT * FROM check_model({})", source.sql()), &[]);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    (row.get(1), row.get(2), row.get(3), row.get(4))
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
    let mut last = None;
    // The first keeps its own.
    let source =
        queued_demo_store(|_, vector| last.replace(vector.to_vec()).unwrap_or(vector.to_vec()));
    let (sampled, _, median, said) = checked(&Db::new(), &source);
    assert_eq!(said, "different");
    assert!(sampled > 10 && median.expect("a median") < 0.8);
}

#[test]
fn vectors_near_the_models_own_are_similar() {
    // What is added is orthogonal and 0.4 times as long: the cosine is 1 / sqrt(1 + 0.4 * 0.4) = 0.9285.
    let source = queued_demo_store(|_, vector| {
        let noise: Vec<f32> = vector
            .chunks_exact(2)
            .flat_map(|pair| [-0.4 * pair[1], 0.4 * pair[0]])
            .collect();
        vector.iter().zip(noise).map(|(a, b)| a + b).collect()
    });
    let (sampled, min, median, said) = checked(&Db::new(), &source);
    assert_eq!(said, "similar");
    assert!(sampled > 10);
    for cosine in [min, median] {
        let cosine = cosine.expect("a cosine");
        assert!((cosine - 0.9285).abs() < 0.001, "{cosine}");
    }
}

#[test]
fn zero_vectors_cannot_be_compared() {
    let source = queued_demo_store(|_, vector| vec![0.0; vector.len()]);
    let nothing = (0, None, None, "not comparable".to_owned());
    assert_eq!(checked(&Db::new(), &source), nothing);
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

#[test]
fn what_is_wrong_with_path_or_collection_comes_before_a_missing_model() {
    let (db, source) = (Db::new(), demo_store());
    db.run("SET vector_migrate.model_path = '/no/such/model'");
    db.refused("SELECT check_model('/no/such/store')", "58P01");
    db.refused("SELECT check_model('store')", "22023");
    let sql = format!("SELECT check_model({}, 'nobody')", source.sql());
    db.refused(&sql, "42704");
}
