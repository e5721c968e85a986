use super::*;
use crate::record::{Metadata, Space};

fn collection(name: &str) -> Collection {
    Collection {
        tenant: "default_tenant".to_owned(),
        database: "default_database".to_owned(),
        name: name.to_owned(),
        id: String::new(),
        dimension: None,
        space: Space::L2,
        configuration: serde_json::Value::Null,
        metadata: Metadata::default(),
    }
}

fn names(template: &str, collections: &[&str]) -> Vec<String> {
    let names = named(template, collections);
    names.into_iter().map(|name| name.sql).collect()
}

fn named(template: &str, collections: &[&str]) -> Vec<Named> {
    let collections: Vec<Collection> = collections.iter().map(|it| collection(it)).collect();
    let subjects: Vec<Subject<'_>> = (collections.iter())
        .map(|collection| Subject {
            collection,
            dimension: 384,
        })
        .collect();
    TableName::parse(template).unwrap().names(&subjects)
}

#[test]
fn a_name_is_read_as_the_server_reads_it() {
    let plain = |text: &str| TableName::parse(text).unwrap().with_suffix("");
    assert_eq!(plain("Content_Vectors"), "\"content_vectors\"");
    assert_eq!(
        plain(" app . \"My \"\"Table\" "),
        "\"app\".\"My \"\"Table\""
    );
    assert_eq!(plain("größe"), "\"größe\"");
    for bad in [
        "", "a.", "a b", "a-b", "1a", "\"a", "\"\"", "a.b.c.d", "a{x}", "$a",
    ] {
        assert!(TableName::parse(bad).is_err(), "{bad:?}");
    }
    assert!(
        TableName::parse("a{x}")
            .unwrap_err()
            .contains("{dimension}")
    );
}

#[test]
fn values_take_the_place_of_their_placeholders() {
    let one = names(
        "app.{tenant}_{database}_{collection}_{dimension}",
        &["docs"],
    );
    assert_eq!(
        one,
        ["\"app\".\"default_tenant_default_database_docs_384\""]
    );
    assert_eq!(names("{dimension}", &["a"]), ["\"384\""]);
    assert!(
        !TableName::parse("content_vectors")
            .unwrap()
            .has_placeholders()
    );
    assert!(
        TableName::parse("\"{collection}\"")
            .unwrap()
            .has_placeholders()
    );
}

#[test]
fn what_a_name_cannot_have_becomes_an_underscore_and_in_quotes_stays() {
    assert_eq!(
        names("t_{collection}", &["File-3.PDF"]),
        ["\"t_file_3_pdf\""]
    );
    assert_eq!(
        names("\"t {collection}\"", &["File-3.\"PDF\""]),
        ["\"t File-3.\"\"PDF\"\"\""]
    );
    assert_eq!(names("{collection}", &[""]), ["\"_\""]);
    let altered = |template| {
        named(template, &["a-b", "a"])
            .iter()
            .map(|it| it.altered)
            .collect::<Vec<_>>()
    };
    assert_eq!(altered("{collection}"), [true, false]);
    assert_eq!(altered("\"{collection}\""), [false, false]);
}

#[test]
fn names_that_would_be_one_end_with_a_number_whatever_else_is_asked_for() {
    let both = names("t_{collection}", &["a-b", "a_b", "a.b"]);
    assert_eq!(both[1], "\"t_a_b\"");
    assert!(both[0].starts_with("\"t_a_b_") && both[0] != both[2]);
    assert_eq!(both, names("t_{collection}", &["a-b", "a_b", "a.b"]));
    // The same value is the same table.
    let same = names("t_{dimension}", &["a", "b"]);
    assert_eq!(same[0], same[1]);
    // Neither is altered, and yet they would be one.
    let mut first = collection("a_b");
    let mut second = collection("a");
    first.database = "c".to_owned();
    second.database = "b_c".to_owned();
    let subjects = [&first, &second].map(|collection| Subject {
        collection,
        dimension: 1,
    });
    let both = TableName::parse("{collection}_{database}")
        .unwrap()
        .names(&subjects);
    assert_ne!(both[0], both[1]);
}

#[test]
fn long_names_are_cut_and_stay_different() {
    let long = "x".repeat(70);
    let other = format!("{long}y");
    let both = names("t_{collection}", &[&long, &other]);
    assert!(both.iter().all(|name| name.len() == MOST_BYTES + 2));
    assert_ne!(both[0], both[1]);
    let umlauts = names("{collection}", &[&"ä".repeat(40)]);
    assert!(umlauts[0].len() <= MOST_BYTES + 2);
    let suffixed = TableName::parse(&"n".repeat(63))
        .unwrap()
        .with_suffix("_384");
    assert!(suffixed.len() == MOST_BYTES + 2 && suffixed.ends_with("n_384\""));
}

#[test]
fn the_number_is_the_published_one() {
    // FNV-1a of "a" is 0xe40c292c.
    assert_eq!(fnv(&[]), 0x811C_9DC5);
    let of_a = (0x811C_9DC5_u32 ^ 0x61).wrapping_mul(0x0100_0193);
    assert_eq!(of_a, 0xE40C_292C);
    assert_ne!(fnv(&["a".into(), "b".into()]), fnv(&["ab".into()]));
}
