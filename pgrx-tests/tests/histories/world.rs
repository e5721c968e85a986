//! A history on the server: random steps, and after each one a look at every table.

use vector_migrate_tests::{Db, Record, quote};

use crate::Version;
use crate::dice::Dice;
use crate::model::{Entity, Key, Model, OnDelete, Owners, Row, Target};
use crate::shapes::SHAPES;

/// A history that is going on.
struct World<'a> {
    db: &'a Db,
    versions: &'a [Version],
    model: Model,
    /// The run ids of the model's runs.
    ids: Vec<i64>,
    seed: u64,
    tell: bool,
    /// The caller has begun a transaction.
    inside: bool,
}

pub fn try_history(db: &Db, versions: &[Version], seed: u64, steps: usize, tell: bool) {
    let mut dice = Dice::new(seed.wrapping_mul(7_919).wrapping_add(3));
    let targets = (0..2).map(|_| Target {
        shape: dice.of(SHAPES),
        rows: Vec::new(),
        entities: Vec::new(),
        on_delete: dice.of(&[
            OnDelete::Cascade,
            OnDelete::SetNull,
            OnDelete::NoAction,
            OnDelete::Deferred,
        ]),
        notes: Vec::new(),
    });
    let model = Model {
        targets: targets.collect(),
        runs: Vec::new(),
    };
    let mut world = World {
        db,
        versions,
        model,
        ids: Vec::new(),
        seed,
        tell,
        inside: false,
    };
    for to in 0..2 {
        let shape = world.model.targets[to].shape;
        world.say(&format!(
            "target {to}: {}, notes {:?}",
            shape.name, world.model.targets[to].on_delete
        ));
        if shape.own {
            db.run(&shape.create(&world.content(to), &world.entity(to)));
            world.create_notes(to);
        }
    }
    for _ in 0..steps {
        world.step(&mut dice);
        for to in 0..2 {
            world.look(to);
        }
    }
    for to in 0..2 {
        db.run(&format!(
            "DROP TABLE IF EXISTS {0}_notes; DROP TABLE IF EXISTS {1}; DROP TABLE IF EXISTS {0}",
            world.content(to),
            world.entity(to)
        ));
    }
}

impl World<'_> {
    fn say(&self, what: &str) {
        if self.tell {
            println!("{what}");
        }
    }

    fn run(&self, sql: &str) {
        self.say(sql);
        self.db.run(sql);
    }

    fn content(&self, to: usize) -> String {
        format!("h{}_{to}", self.seed)
    }

    fn entity(&self, to: usize) -> String {
        format!("h{}_{to}_e", self.seed)
    }

    fn create_notes(&self, to: usize) {
        let Target {
            shape, on_delete, ..
        } = &self.model.targets[to];
        if !shape.can_be_referred_to() {
            return;
        }
        let columns = shape.key_columns();
        let types = columns.iter().map(|column| match *column {
            "user_id" => "user_id bigint".to_owned(),
            other => format!("{other} text"),
        });
        let action = match on_delete {
            OnDelete::Cascade => "ON DELETE CASCADE",
            OnDelete::SetNull => "ON DELETE SET NULL",
            OnDelete::NoAction => "",
            OnDelete::Deferred => "DEFERRABLE INITIALLY DEFERRED",
        };
        self.run(&format!(
            "CREATE TABLE {content}_notes ({}, FOREIGN KEY ({list}) REFERENCES {content} ({list}) {action})",
            types.collect::<Vec<_>>().join(", "),
            content = self.content(to),
            list = columns.join(", ")
        ));
    }

    fn step(&mut self, dice: &mut Dice) {
        let to = dice.below(2);
        if !self.model.targets[to].shape.own && !self.model.runs.iter().any(|run| run.target == to)
        {
            self.migrate(to, dice);
            self.create_notes(to);
            return;
        }
        // Some steps are taken back by the caller.
        let undone = dice.percent(8).then(|| self.model.clone());
        self.inside = undone.is_some();
        if self.inside {
            self.run("BEGIN");
        }
        match dice.below(100) {
            0..35 => self.migrate(to, dice),
            35..65 => self.roll_back(dice),
            65..73 => self.change_row(to, dice),
            73..79 => self.delete_row(to, dice),
            79..85 => self.insert_row(to, dice),
            85..91 => self.insert_note(to, dice),
            91..93 => self.delete_notes(to),
            _ => self.write_entity(to, dice),
        }
        if let Some(model) = undone {
            for to in 0..2 {
                self.look(to);
            }
            self.run("ROLLBACK");
            self.inside = false;
            self.ids.truncate(model.runs.len());
            self.model = model;
        }
    }

    fn migrate(&mut self, to: usize, dice: &mut Dice) {
        let version = dice.below(self.versions.len());
        let Version { store, records } = &self.versions[version];
        let collection = dice.of(&[None, None, Some("library_a"), Some("library_b")]);
        let user = dice.of(&[None, None, None, Some(1), Some(2)]);
        let conflict = dice.of(&["skip", "update", "overwrite", "error"]);
        let wanted = |record: &&Record| {
            collection.is_none_or(|it| it == record.collection)
                && user.is_none_or(|it| it == record.user)
        };
        let chosen: Vec<&Record> = records.iter().filter(wanted).collect();
        let mut arguments = format!(
            "target => '{}', entity_target => '{}', embeddings => 'stored', on_conflict => '{conflict}'",
            self.content(to),
            self.entity(to)
        );
        if let Some(collection) = collection {
            arguments += &format!(", collection => '{collection}'");
        }
        if let Some(user) = user {
            arguments += &format!(", user_id => {user}");
        }
        if dice.percent(8) {
            let dry = self.model.clone().migrate(to, &chosen, conflict);
            if let Some(outcome) = dry {
                let report = self
                    .db
                    .migrate(store, &format!("{arguments}, dry_run => true"));
                assert_eq!(
                    report.outcome(),
                    outcome,
                    "dry run of version {version}: {arguments}"
                );
            }
        }
        self.say(&format!(
            "run {} of version {version}: {arguments}",
            self.model.runs.len()
        ));
        let Some(outcome) = self.model.migrate(to, &chosen, conflict) else {
            self.fails(|db| db.migrate_error(store, &arguments).code, "23505");
            return;
        };
        let report = self.db.migrate(store, &arguments);
        assert_eq!(report.outcome(), outcome, "version {version}: {arguments}");
        let id = match report.lines.is_empty() {
            true => self.db.one("SELECT max(run_id) FROM vector_migrate.runs"),
            false => report.run_id(),
        };
        self.ids.push(id);
    }

    /// A call that fails, also where the caller has begun a transaction.
    fn fails(&self, call: impl FnOnce(&Db) -> String, code: &str) {
        if self.inside {
            self.db.run("SAVEPOINT before");
        }
        assert_eq!(call(self.db), code);
        if self.inside {
            self.db.run("ROLLBACK TO before");
        }
    }

    fn roll_back(&mut self, dice: &mut Dice) {
        if self.model.runs.is_empty() {
            return;
        }
        let force = dice.percent(30);
        let newest = self.model.runs.iter().rposition(|run| run.completed);
        let (run, argument) = match newest {
            Some(newest) if dice.percent(25) => (newest, "NULL".to_owned()),
            _ => {
                let run = dice.below(self.model.runs.len());
                (run, self.ids[run].to_string())
            }
        };
        let call = format!(
            "SELECT target, removed, restored, kept FROM rollback_migration({argument}, {force})"
        );
        self.say(&format!("rollback of run {run}: {call}"));
        let Some((removed, restored, kept, gone, back)) = self.model.roll_back(run, force) else {
            self.fails(|db| db.error(&call).code, "55000");
            return;
        };
        let to = self.model.runs[run].target;
        let lines = self.db.lines(&call);
        assert_eq!(
            lines[0],
            format!("{}|{removed}|{restored}|{kept}", self.content(to))
        );
        assert!(
            lines[1].starts_with(&format!("{}|{gone}|{back}|", self.entity(to))),
            "{lines:?} is not {gone}, {back}"
        );
        let status = if self.model.runs[run].completed {
            "completed"
        } else {
            "rolled back"
        };
        let shown = self.db.line(&format!(
            "SELECT status FROM vector_migrate.runs WHERE run_id = {}",
            self.ids[run]
        ));
        assert_eq!(shown, status);
    }

    fn some_row(&self, to: usize, dice: &mut Dice) -> Option<usize> {
        let rows = self.model.targets[to].rows.len();
        (rows > 0).then(|| dice.below(rows))
    }

    fn change_row(&mut self, to: usize, dice: &mut Dice) {
        let Some(at) = self.some_row(to, dice) else {
            return;
        };
        let table = self.content(to);
        let more = dice.of(&["!", ""]);
        let row = &mut self.model.targets[to].rows[at];
        row.owners = Owners::new();
        row.text = None;
        row.title += more;
        let condition = condition(&row.key, "id");
        self.run(&format!(
            "UPDATE {table} SET title = title || '{more}' WHERE {condition}"
        ));
    }

    fn delete_row(&mut self, to: usize, dice: &mut Dice) {
        let Some(at) = self.some_row(to, dice) else {
            return;
        };
        let target = &mut self.model.targets[to];
        let key = target.rows[at].key.clone();
        let refused = matches!(target.on_delete, OnDelete::NoAction | OnDelete::Deferred);
        if refused && target.is_referred_to(&key) {
            return;
        }
        target.delete(&key);
        self.run(&format!(
            "DELETE FROM {} WHERE {}",
            self.content(to),
            condition(&key, "id")
        ));
    }

    fn insert_row(&mut self, to: usize, dice: &mut Dice) {
        let target = &self.model.targets[to];
        let record = Record {
            collection: dice.of(&["library_a", "library_b"]),
            id: dice.of(&["x-0", "x-1", "x-2", "own"]).to_owned(),
            user: 1 + dice.below(3) as i64,
            title: "the application's".to_owned(),
            entities: Vec::new(),
            vector: [0.0; 8],
        };
        let key = target.key_of(&record);
        if target.at(&key).is_some() {
            return;
        }
        let (column, value) = match target.shape.collection_column {
            true => (
                ", chroma_collection",
                format!(", {}", quote(record.collection)),
            ),
            false => ("", String::new()),
        };
        let metadata = if target.shape.own {
            ("", "")
        } else {
            (", metadata", ", '{}'")
        };
        self.run(&format!(
            "INSERT INTO {} (id, user_id, title, full_content, searchable_text, summary{column}{})
             VALUES ({}, {}, {}, '{{\"own\": 1}}', '', 's'{value}{})",
            self.content(to),
            metadata.0,
            quote(&record.id),
            record.user,
            quote(&record.title),
            metadata.1
        ));
        self.model.targets[to].rows.push(Row {
            key,
            text: None,
            owners: Owners::new(),
            title: record.title,
        });
    }

    fn insert_note(&mut self, to: usize, dice: &mut Dice) {
        let Some(at) = self.some_row(to, dice) else {
            return;
        };
        let target = &mut self.model.targets[to];
        if !target.shape.can_be_referred_to() {
            return;
        }
        let key = target.rows[at].key.clone();
        target.notes.push(Some(key.clone()));
        self.run(&format!(
            "INSERT INTO {}_notes VALUES ({})",
            self.content(to),
            values(&key)
        ));
    }

    fn delete_notes(&mut self, to: usize) {
        if self.model.targets[to].shape.can_be_referred_to() {
            self.model.targets[to].notes.clear();
            self.run(&format!("DELETE FROM {}_notes", self.content(to)));
        }
    }

    fn write_entity(&mut self, to: usize, dice: &mut Dice) {
        let table = self.entity(to);
        let entities = self.model.targets[to].entities.len();
        let kind = dice.below(3);
        if kind == 0 || entities == 0 {
            let Some(at) = self.some_row(to, dice) else {
                return;
            };
            let target = &mut self.model.targets[to];
            let (collection, user, id) = target.rows[at].key.clone();
            target.entities.push(Entity {
                of: target.rows[at].key.clone(),
                text: None,
                owners: Owners::new(),
                name: "added".to_owned(),
            });
            let collection = collection.map_or("NULL".to_owned(), |it| quote(&it));
            let user = user.map_or("NULL".to_owned(), |it| it.to_string());
            self.run(&format!(
                "INSERT INTO {table} (content_id, chroma_collection, user_id, entity_name)
                 VALUES ({}, {collection}, {user}, 'added')",
                quote(&id)
            ));
            return;
        }
        let at = dice.below(entities);
        let entity = &mut self.model.targets[to].entities[at];
        let whole = quote(entity.text.as_deref().expect("has been seen"));
        if kind == 1 {
            entity.owners = Owners::new();
            entity.text = None;
            entity.name += "!";
            self.run(&format!(
                "UPDATE {table} t SET entity_name = entity_name || '!' WHERE t::text = {whole}"
            ));
        } else {
            self.model.targets[to].entities.remove(at);
            self.run(&format!("DELETE FROM {table} t WHERE t::text = {whole}"));
        }
    }

    /// Compares the tables with the model, which learns the texts of rows that the last step has written.
    fn look(&mut self, to: usize) {
        let (content, entity) = (self.content(to), self.entity(to));
        let target = &mut self.model.targets[to];
        if self.db.line(&format!("SELECT to_regclass('{content}')")) == "∅" {
            return;
        }
        let shape = target.shape;
        let parts = |id: &str| {
            format!(
                "{}, {}, {id}",
                if shape.by_collection {
                    "chroma_collection"
                } else {
                    "NULL"
                },
                if shape.by_user {
                    "user_id::text"
                } else {
                    "NULL"
                }
            )
        };
        let rows = self.db.attempt(&format!(
            "SELECT {}, title, t::text FROM {content} t",
            parts("id")
        ));
        let mut rows = rows.expect("is read");
        for row in &mut target.rows {
            let key = texts(&row.key);
            let at = rows
                .iter()
                .position(|it| it[..3] == key && it[3].as_ref() == Some(&row.title));
            let found = at
                .map(|at| rows.swap_remove(at))
                .unwrap_or_else(|| panic!("{content}: no {row:?}"));
            learn(&mut row.text, &found[4]);
        }
        assert!(rows.is_empty(), "{content} has more: {rows:?}");
        let query = format!(
            "SELECT {}, entity_name, t::text FROM {entity} t ORDER BY t.id",
            parts("content_id")
        );
        let mut rows = self.db.attempt(&query).expect("is read");
        for known in [true, false] {
            for one in target
                .entities
                .iter_mut()
                .filter(|it| it.text.is_some() == known)
            {
                let key = texts(&one.of);
                let is = |it: &Vec<Option<String>>| {
                    it[..3] == key
                        && it[3].as_ref() == Some(&one.name)
                        && (!known || it[4] == one.text)
                };
                let at = rows.iter().position(is);
                let found = at
                    .map(|at| rows.remove(at))
                    .unwrap_or_else(|| panic!("{entity}: no {one:?} in {rows:?}"));
                learn(&mut one.text, &found[4]);
            }
        }
        assert!(rows.is_empty(), "{entity} has more: {rows:?}");
        if shape.can_be_referred_to() {
            let columns = shape.key_columns().join(", ");
            let mut notes = self
                .db
                .lines(&format!("SELECT {columns} FROM {content}_notes"));
            let line = |note: &Option<Key>| match note {
                Some(key) => texts(key)
                    .iter()
                    .flatten()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join("|"),
                None => vec!["∅"; shape.key_columns().len()].join("|"),
            };
            let mut expected: Vec<String> = target.notes.iter().map(line).collect();
            notes.sort();
            expected.sort();
            assert_eq!(notes, expected, "{content}_notes");
        }
    }
}

fn learn(text: &mut Option<String>, found: &Option<String>) {
    match text {
        Some(_) => assert_eq!(text, found),
        None => text.clone_from(found),
    }
}

/// The key as a query shows it.
fn texts((collection, user, id): &Key) -> [Option<String>; 3] {
    [
        collection.clone(),
        user.map(|it| it.to_string()),
        Some(id.clone()),
    ]
}

fn condition((collection, user, id): &Key, column: &str) -> String {
    let mut all = vec![format!("{column} = {}", quote(id))];
    all.extend(
        collection
            .iter()
            .map(|it| format!("chroma_collection = {}", quote(it))),
    );
    all.extend(user.iter().map(|it| format!("user_id = {it}")));
    all.join(" AND ")
}

/// The key's columns as [`crate::shapes::Shape::key_columns`] has them.
fn values((collection, user, id): &Key) -> String {
    let mut all: Vec<String> = collection.iter().map(|it| quote(it)).collect();
    all.extend(user.iter().map(|it| it.to_string()));
    all.push(quote(id));
    all.join(", ")
}
