//! `vector_migrate_sql LIBRARY CONTROL VERSION` writes the extension's install script to standard output.
//!
//! pgrx's macros leave a description of every SQL object in a section of the library; this reads the section and lets pgrx's own
//! generator make SQL of it, as `cargo pgrx schema` of the same version does (cargo-pgrx's command/schema.rs).
//!
//! Promise: the script depends on the SQL objects only. The lines of the source where they are declared are left out, so that
//! a change elsewhere in a file changes nothing here.

use std::error::Error;
use std::fs;
use std::io::Write;

use object::{Object, ObjectSection};
use pgrx_sql_entity_graph::section::{decode_entities, is_schema_section_name};
use pgrx_sql_entity_graph::{ControlFile, PgrxSql, SqlGraphEntity};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, control, version] = arguments.as_slice() else {
        return Err("usage: vector_migrate_sql LIBRARY CONTROL VERSION".into());
    };
    let library = fs::read(library).map_err(|error| format!("{library}: {error}"))?;
    let script = script(&library, &fs::read_to_string(control)?, version)?;
    std::io::stdout().write_all(script.as_bytes())?;
    Ok(())
}

/// The install script of the extension that `library` (an object file's bytes) implements.
fn script(library: &[u8], control: &str, version: &str) -> Result<String, Box<dyn Error>> {
    let object = object::File::parse(library)?;
    let section = object
        .sections()
        .find(|section| section.name().is_ok_and(is_schema_section_name))
        .ok_or("the library has no section of pgrx's: was it stripped, or linked with --gc-sections by an old linker?")?;
    let control = ControlFile::from_str_with_cargo_version(control, version)?;
    let versioned_library = control.module_pathname.is_none();
    let mut entities = vec![SqlGraphEntity::ExtensionRoot(control)];
    entities.extend(decode_entities(section.data()?)?);
    let sql = PgrxSql::build(
        entities.into_iter(),
        "vector_migrate".into(),
        versioned_library,
    )?
    .to_sql()?;
    Ok(sql
        .lines()
        .map(|line| without_line_number(line).to_owned() + "\n")
        .collect())
}

/// `-- src/api/check.rs:48` as `-- src/api/check.rs`; every other line as it is.
fn without_line_number(line: &str) -> &str {
    match line.rsplit_once(':') {
        Some((file, number))
            if file.starts_with("-- ")
                && file.ends_with(".rs")
                && number.bytes().all(|digit| digit.is_ascii_digit()) =>
        {
            file
        }
        _ => line,
    }
}
