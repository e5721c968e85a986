//! Traps: functions, operators, types and tables of the names that the extension's SQL uses, planted in a schema by a role
//! that may create there. A name that is not qualified springs them, and a sequence counts that, also in what is rolled back.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::store::root;
use crate::{Session, quote};

/// Types of which every pair gets operators, and every single one a function of each name.
const TYPES: [&str; 21] = [
    "bool",
    "\"char\"",
    "name",
    "int2",
    "int4",
    "int8",
    "oid",
    "regclass",
    "regtype",
    "text",
    "\"varchar\"",
    "xid",
    "uuid",
    "jsonb",
    "json",
    "float8",
    "timestamptz",
    "_text",
    "_int4",
    "_xid",
    "_float4",
];

/// Operators that SQL spells without their name: in `IN`, `BETWEEN`, `LIKE`, `NULLIF` and the like.
const OPERATORS: [&str; 9] = ["=", "<>", "<", ">", "<=", ">=", "+", "-", "||"];

/// Plants traps in `schema`, as the role of `session`. What they say when they are sprung is a WARNING.
pub fn plant(session: &Session, schema: &str) {
    let (names, operators) = used();
    session.run("CREATE TEMPORARY TABLE used (name text, operator boolean)");
    let names = names.iter().map(|name| (name, "false"));
    let operators = operators.iter().map(|name| (name, "true"));
    let values: Vec<_> = names
        .chain(operators)
        .map(|(name, operator)| format!("({}, {operator})", quote(name)))
        .collect();
    session
        .attempt(&format!("INSERT INTO used VALUES {}", values.join(", ")))
        .expect("inserts");
    let types = TYPES.map(quote).join(", ");
    let sql = PLANT
        .replace("TYPES", &format!("ARRAY[{types}]::text[]"))
        .replace("SCHEMA", schema);
    session.run(&sql);
}

/// How often a trap of `schema` was sprung.
pub fn sprung(session: &Session, schema: &str) -> i64 {
    session.one(&format!(
        "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {schema}.sprung"
    ))
}

/// A sequence keeps its count when the transaction ends in an error.
const PLANT: &str = r#"
SET search_path = pg_catalog, pg_temp;
SET check_function_bodies = off;
CREATE SEQUENCE SCHEMA.sprung;
GRANT ALL ON SEQUENCE SCHEMA.sprung TO PUBLIC;
CREATE FUNCTION SCHEMA.trap(what text, result text, head text, VARIADIC arguments text[]) RETURNS void
LANGUAGE plpgsql AS $trap$
BEGIN
    EXECUTE format('CREATE FUNCTION SCHEMA.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L',
        head, array_to_string(arguments, ', '), result,
        format('BEGIN PERFORM pg_catalog.nextval(''SCHEMA.sprung''); RAISE WARNING %L; RETURN%s; END',
               'sprung: ' || what, CASE WHEN result LIKE 'SETOF %' THEN '' ELSE ' NULL' END));
EXCEPTION WHEN duplicate_function OR feature_not_supported THEN NULL;
END $trap$;
DO $all$
DECLARE
    types CONSTANT text[] := TYPES;
    names CONSTANT text[] := ARRAY(SELECT name FROM used WHERE NOT used.operator);
    operators CONSTANT text[] := ARRAY(SELECT name FROM used WHERE used.operator);
    f record; a text; b text; result text; operator text;
BEGIN
    FOR f IN SELECT DISTINCT ON (proname, pronargs) proname, pronargs, proretset,
                    CASE WHEN EXISTS (SELECT FROM pg_type t WHERE t.oid = prorettype AND t.typtype = 'p')
                         THEN 'text' ELSE format_type(prorettype, NULL) END
                      AS result
               FROM pg_proc
              WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY (names) AND prokind IN ('f', 'a')
                AND pronargs BETWEEN 1 AND 2 AND proallargtypes IS NULL
              ORDER BY proname, pronargs, oid
    LOOP
        result := CASE WHEN f.proretset THEN 'SETOF ' ELSE '' END || f.result;
        FOREACH a IN ARRAY types LOOP
            IF f.pronargs = 1 THEN
                PERFORM SCHEMA.trap(f.proname, result, f.proname, a);
            ELSE
                FOREACH b IN ARRAY ARRAY[a, 'text', 'int4', 'int8', '_int4'] LOOP
                    PERFORM SCHEMA.trap(f.proname, result, f.proname, a, b);
                END LOOP;
            END IF;
        END LOOP;
    END LOOP;
    -- And the server's own, with just their arguments.
    FOR f IN SELECT p.oid, p.proname, p.proretset, format_type(p.prorettype, NULL) AS result,
                    ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) t) AS arguments
               FROM pg_proc p JOIN pg_type r ON r.oid = p.prorettype
              WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY (names) AND p.prokind = 'f'
                AND p.provariadic = 0 AND p.proallargtypes IS NULL AND r.typtype <> 'p'
                AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) u JOIN pg_type t ON t.oid = u WHERE t.typtype = 'p')
    LOOP
        PERFORM SCHEMA.trap(f.proname, CASE WHEN f.proretset THEN 'SETOF ' ELSE '' END || f.result,
                            f.proname, VARIADIC f.arguments);
    END LOOP;
    FOR f IN SELECT DISTINCT ON (oprname) oprname, format_type(oprresult, NULL) AS result
               FROM pg_operator JOIN pg_type t ON t.oid = oprresult AND t.typtype <> 'p'
              WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprname = ANY (operators) AND oprkind = 'b'
              ORDER BY oprname, pg_operator.oid
    LOOP
        FOREACH a IN ARRAY types LOOP FOREACH b IN ARRAY types LOOP
            result := coalesce((SELECT format_type(oprresult, NULL) FROM pg_operator
                                 WHERE oprname = f.oprname AND oprleft = a::regtype AND oprright = b::regtype), f.result);
            operator := 'operator ' || f.oprname;
            PERFORM SCHEMA.trap(f.oprname, result, operator, a, b);
            EXECUTE format('CREATE OPERATOR SCHEMA.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = SCHEMA.%I)',
                           f.oprname, a, b, operator);
        END LOOP; END LOOP;
    END LOOP;
    PERFORM SCHEMA.trap('a type or a table', 'bool', 'shadow', 'text');
    FOR f IN SELECT c.relname, (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
                                 WHERE attrelid = c.oid AND attnum > 0 AND atttypid <> 'anyarray'::regtype) AS columns
               FROM pg_class c
              WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') AND relname = ANY (names)
    LOOP
        EXECUTE format('CREATE VIEW SCHEMA.%1$I AS SELECT %2$s FROM pg_catalog.%1$I WHERE SCHEMA.shadow(''x'')',
                       f.relname, f.columns);
    END LOOP;
    FOR a IN SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b'
                AND typcategory <> 'A' AND (typname = ANY (names) OR typname = ANY (types) OR typname = 'char')
    LOOP
        EXECUTE format('CREATE DOMAIN SCHEMA.%1$I AS pg_catalog.%1$I CHECK (SCHEMA.shadow(''x'') IS NOT NULL)', a);
    END LOOP;
    FOREACH a IN ARRAY ARRAY['vector', 'halfvec'] LOOP
        EXECUTE format('CREATE DOMAIN SCHEMA.%I AS text CHECK (SCHEMA.shadow(''x'') IS NOT NULL)', a);
    END LOOP;
END $all$"#;

/// The words and the operators in the extension's SQL: all that may be names of functions, types or tables.
fn used() -> (BTreeSet<String>, BTreeSet<String>) {
    let mut texts = Vec::new();
    collect(&root().join("sql"), &mut texts);
    collect(&root().join("src"), &mut texts);
    let mut names = BTreeSet::new();
    let mut operators: BTreeSet<String> = OPERATORS.iter().map(|&name| name.to_owned()).collect();
    for text in texts {
        let words =
            text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
        names.extend(words.filter(|word| word.len() > 1).map(str::to_owned));
        for after in text.split("OPERATOR(pg_catalog.").skip(1) {
            operators.extend(after.split(')').next().map(str::to_owned));
        }
    }
    (names, operators)
}

/// The files below `folder` that have SQL: not the core's, which knows no server.
fn collect(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the checkout") {
        let path: PathBuf = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("src/core") {
                collect(&path, texts);
            }
        } else {
            texts.push(fs::read_to_string(&path).expect("a text"));
        }
    }
}
