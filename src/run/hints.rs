//! What is left to do in the application whose table a run has filled.

use vector_migrate_core::encode::VectorType;
use vector_migrate_core::mapping::Preset;

use crate::error::Error;
use crate::message::notice;
use crate::spi;
use crate::tables::Target;

/// An application's table that rows came into.
#[derive(Debug)]
pub struct FilledTable {
    preset: &'static Preset,
    vector: VectorType,
}

impl FilledTable {
    /// `target` after it got so many rows; `None` if it is no application's or got none.
    pub fn of(target: &Target, rows: u64) -> Option<FilledTable> {
        let preset = target
            .preset
            .filter(|it| !it.is_content_library() && rows > 0)?;
        Some(FilledTable {
            preset,
            vector: target.vector,
        })
    }
}

/// Says it once for each application.
///
/// # Errors
/// The server's own.
pub fn tell(filled: &[FilledTable]) -> Result<(), Error> {
    let mut told: Vec<&str> = Vec::new();
    for FilledTable { preset, vector } in filled {
        if told.contains(&preset.name.as_str()) {
            continue;
        }
        told.push(&preset.name);
        if let Some(hint) = &preset.hint {
            let dimension = vector
                .dimension
                .map_or_else(String::new, |it| it.to_string());
            let half = preset.table.as_ref().filter(|_| vector.half);
            notice!(
                "{}{}",
                hint.replace("{dimension}", &dimension),
                half.map_or("", |it| &it.half_hint)
            );
        }
        if let Some(needs) = preset.maintenance_work_mem {
            tell_memory(preset, needs)?;
        }
    }
    Ok(())
}

/// Says that the server gives the application too little memory for its index: what this session has set for itself does not
/// count.
fn tell_memory(preset: &Preset, needs: u32) -> Result<(), Error> {
    let found = spi::look_up_one(
        "SELECT s.reset_val::pg_catalog.int8, pg_catalog.quote_ident(d.datname) \
           FROM pg_catalog.pg_settings s, pg_catalog.pg_database d \
          WHERE s.name OPERATOR(pg_catalog.=) 'maintenance_work_mem' AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()",
        &[],
        |row| Ok((row.get::<i64>(1)?, row.get::<String>(2)?)),
    )?;
    if let Some((Some(kilobytes), Some(database))) = found
        && kilobytes < i64::from(needs) * 1024
    {
        notice!(
            "{} makes its vector index when it starts, which over about 10,000 rows or more takes more memory than \
             maintenance_work_mem gives it, {} MB: ALTER DATABASE {database} SET maintenance_work_mem = '{needs}MB'",
            preset.application,
            kilobytes / 1024
        );
    }
    Ok(())
}
