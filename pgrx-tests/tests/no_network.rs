//! No connection leaves the process: runs, models and searches on a server that has no network, where the kernel counts
//! every attempt.

use std::env;

use vector_migrate_tests::{Db, Session, demo_store};

/// What the kernel knows of the network of the session's process.
struct Network {
    /// Names of the interfaces, with the bytes that came in and went out.
    interfaces: Vec<(String, u64, u64)>,
    /// Sockets of the internet's protocols.
    sockets: usize,
    /// Every counter of these protocols; one of them is of attempts that found no way out.
    counters: String,
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
            counters: file("snmp") + &file("snmp6"),
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
    assert_ne!(after.counters, Network::of(&db).counters);
}
