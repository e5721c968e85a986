//! Tables whose rows are on another server, which neither this session's settings nor its planner reach.

use pgrx::pg_sys;

use crate::error::Error;
use crate::spi;

/// Where else rows of the table `oid` are, each once and in order: the names of foreign servers, as of a foreign table, a
/// partition or a child that is one, or a view of one; `Citus` for a table that it distributes. Empty: nowhere.
///
/// A foreign server whose `options` have `setting` is left out: there it is set.
///
/// # Errors
/// The server's own.
pub fn elsewhere(oid: pg_sys::Oid, setting: &str) -> Result<Vec<String>, Error> {
    let citus = spi::read_one(
        "SELECT pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL",
        &[],
        |row| row.get::<bool>(1),
    )?;
    let distributed = match citus.flatten() {
        Some(true) => DISTRIBUTED,
        _ => "",
    };
    let servers = spi::read(
        &format!("{RELATIONS} {FOREIGN} {distributed} ORDER BY 1"),
        &[oid.into(), setting.into()],
        |row| row.get::<String>(1),
    )?;
    Ok(servers.into_iter().flatten().collect())
}

/// The table, what inherits from it, and what a view is made of.
const RELATIONS: &str = "\
    WITH RECURSIVE relations(oid) AS ( \
      SELECT $1 \
      UNION \
      SELECT more.oid FROM relations CROSS JOIN LATERAL ( \
        SELECT i.inhrelid AS oid FROM pg_catalog.pg_inherits i \
         WHERE i.inhparent OPERATOR(pg_catalog.=) relations.oid \
        UNION ALL \
        SELECT d.refobjid FROM pg_catalog.pg_rewrite w \
          JOIN pg_catalog.pg_depend d ON d.objid OPERATOR(pg_catalog.=) w.oid \
           AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
           AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
         WHERE w.ev_class OPERATOR(pg_catalog.=) relations.oid) more)";

const FOREIGN: &str = "\
    SELECT DISTINCT s.srvname::pg_catalog.text FROM relations \
      JOIN pg_catalog.pg_foreign_table f ON f.ftrelid OPERATOR(pg_catalog.=) relations.oid \
      JOIN pg_catalog.pg_foreign_server s ON s.oid OPERATOR(pg_catalog.=) f.ftserver \
     WHERE NOT EXISTS (SELECT FROM pg_catalog.unnest(s.srvoptions) AS o(word) \
             WHERE o.word OPERATOR(pg_catalog.~~) ('options=%' OPERATOR(pg_catalog.||) $2 \
                   OPERATOR(pg_catalog.||) '%'))";

const DISTRIBUTED: &str = "\
    UNION SELECT 'Citus' FROM relations \
      JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid OPERATOR(pg_catalog.=) relations.oid";
