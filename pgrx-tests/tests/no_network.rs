//! No connection leaves the process: runs, models and searches on a server that has no network, where the kernel counts
//! every attempt.

use std::collections::BTreeMap;
use std::env;

use vector_migrate_tests::{Db, Session, demo_store};

/// What the kernel knows of the network of the session's process.
struct Network {
    /// Names of the interfaces, with the bytes that came in and went out.
    interfaces: Vec<(String, u64, u64)>,
    /// Sockets of the internet's protocols.
    sockets: usize,
    /// The counters of these protocols that are not zero; one of them is of attempts that found no way out.
    counters: BTreeMap<String, i64>,
}

impl Network {
    fn of(session: &Session) -> Network {
        let file = |name: &str| -> String {
            session.one(&format!("SELECT pg_read_file('/proc/self/net/{name}')"))
        };
        let interfaces = file("dev").lines().skip(2).map(interface).collect();
        let tables = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"];
        Network {
            interfaces,
            sockets: tables
                .map(|name| file(name).lines().skip(1).count())
                .iter()
                .sum(),
            counters: counters(&file("snmp"), &file("snmp6")),
        }
    }
}

/// A line of `/proc/net/dev`: the name, then eight numbers of what came in and eight of what went out.
fn interface(line: &str) -> (String, u64, u64) {
    let (name, numbers) = line.split_once(':').expect("a name");
    let numbers: Vec<u64> = numbers
        .split_whitespace()
        .map(|number| number.parse().expect("a number"))
        .collect();
    (name.trim().to_owned(), numbers[0], numbers[8])
}

/// `/proc/net/snmp`, where a line of names is followed by one of numbers, and `/proc/net/snmp6`, of lines of one each.
fn counters(snmp: &str, snmp6: &str) -> BTreeMap<String, i64> {
    let lines: Vec<&str> = snmp.lines().collect();
    let old = lines.chunks_exact(2).flat_map(|pair| {
        let protocol = pair[0].split(':').next().expect("a protocol");
        let both = pair[0].split_whitespace().zip(pair[1].split_whitespace());
        both.skip(1)
            .map(move |(name, number)| (format!("{protocol}{name}"), number))
    });
    let new = snmp6.lines().map(|line| {
        let (name, number) = line.split_once(char::is_whitespace).expect("two words");
        (name.to_owned(), number.trim())
    });
    old.chain(new)
        .map(|(name, number)| (name, number.parse().expect("a number")))
        .filter(|(_, number)| *number != 0)
        .collect()
}

/// Whether the server was started without a network; says why if it was not.
fn is_apart() -> bool {
    let said = env::var("VECTOR_MIGRATE_NETWORK").unwrap_or_else(|_| "nobody said".to_owned());
    if said != "none" {
        eprintln!("skipped, as the server has a network: {said}");
    }
    said == "none"
}

#[test]
fn everything_works_without_a_network_and_nothing_asks_for_one() {
    if !is_apart() {
        return;
    }
    let (db, source) = (Db::new(), demo_store());
    db.run("SET vector_migrate.check_model = on");
    let before = Network::of(&db);

    let total = db.migrate(&source, "embeddings => 'generate'").total();
    assert_eq!((total.embedded, total.entities), (288, 288));
    db.migrate(&source, "target => 'as_stored', embeddings => 'stored'");
    let verdicts = "SELECT DISTINCT model_verdict FROM vector_migrate.runs ORDER BY 1";
    assert_eq!(db.lines(verdicts), ["same model", "∅"]);
    assert_eq!(
        db.lines("SELECT id FROM search_content('a walk in the woods')")
            .len(),
        5
    );
    assert_eq!(
        db.lines("SELECT content_id FROM search_entities('a person')")
            .len(),
        5
    );
    db.lines(&format!("SELECT * FROM check_model({})", source.sql()));
    db.lines("SELECT * FROM model_info()");
    db.lines("SELECT * FROM rollback_migration()");

    let after = Network::of(&db);
    assert_eq!(after.interfaces, [("lo".to_owned(), 0, 0)]);
    assert_eq!((before.sockets, after.sockets), (0, 0));
    assert_eq!(before.counters, after.counters, "a connection was tried");

    // An attempt of any process of the server would have been seen.
    db.error("COPY (SELECT 1) TO PROGRAM 'exec bash -c \": 3<>/dev/tcp/192.0.2.1/9\"'");
    let seen = Network::of(&db).counters;
    let lost = "IpOutNoRoutes";
    assert!(seen.get(lost) > after.counters.get(lost), "{seen:?}");
}
