-- Who may do what. The ledger is written by the extension as its owner; roles see the runs of roles that
-- they are members of. Functions that read the server's disk, or that load the model, are nobody's until granted;
-- the former ask for pg_read_server_files themselves, too. PUBLIC keeps init_content_tables and rollback_migration,
-- which do what their caller could do by hand, check_vector_index, which asks for the index's owner, chroma_presets, which lists what the library has,
-- chroma_where (with where_text), chroma_document and chroma_distance, which read nothing but their arguments, chroma_get and chroma_query by a
-- vector, which read tables as their caller could, and bulk_rows, which is an error but within the extension's own statements, which
-- run as their caller. Every name is qualified, as in bootstrap.sql.

GRANT USAGE ON SCHEMA vector_migrate TO PUBLIC;
GRANT SELECT ON vector_migrate.runs, vector_migrate.run_targets, vector_migrate.run_parents,
    vector_migrate.run_errors, vector_migrate.run_rows TO PUBLIC;

ALTER TABLE vector_migrate.runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE vector_migrate.run_targets ENABLE ROW LEVEL SECURITY;
ALTER TABLE vector_migrate.run_parents ENABLE ROW LEVEL SECURITY;
ALTER TABLE vector_migrate.run_errors ENABLE ROW LEVEL SECURITY;
ALTER TABLE vector_migrate.run_rows ENABLE ROW LEVEL SECURITY;

-- By way of pg_roles: a role that has been dropped since has no members, and is no error.
CREATE POLICY own_runs ON vector_migrate.runs FOR SELECT
    USING (EXISTS (SELECT FROM pg_catalog.pg_roles r
                    WHERE r.rolname OPERATOR(pg_catalog.=) role AND pg_catalog.pg_has_role(r.oid, 'USAGE')));
CREATE POLICY own_runs ON vector_migrate.run_targets FOR SELECT
    USING (run_id OPERATOR(pg_catalog.=) ANY (SELECT r.run_id FROM vector_migrate.runs r));
CREATE POLICY own_runs ON vector_migrate.run_parents FOR SELECT
    USING (run_id OPERATOR(pg_catalog.=) ANY (SELECT r.run_id FROM vector_migrate.runs r));
CREATE POLICY own_runs ON vector_migrate.run_errors FOR SELECT
    USING (run_id OPERATOR(pg_catalog.=) ANY (SELECT r.run_id FROM vector_migrate.runs r));
CREATE POLICY own_runs ON vector_migrate.run_rows FOR SELECT
    USING (run_id OPERATOR(pg_catalog.=) ANY (SELECT r.run_id FROM vector_migrate.runs r));

REVOKE ALL ON FUNCTION @extschema@.chroma_collections(pg_catalog.text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.chroma_store(pg_catalog.text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.chroma_records(pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.check_model(pg_catalog.text, pg_catalog.text, pg_catalog.int4) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.migrate_chroma(
    pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.jsonb, pg_catalog.text, pg_catalog.text,
    pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text,
    pg_catalog.text, pg_catalog.text, pg_catalog.text[], pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.migrate_chroma(
    pg_catalog.text, pg_catalog.int8, pg_catalog.bool, pg_catalog.text, pg_catalog.jsonb, pg_catalog.text, pg_catalog.text,
    pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text,
    pg_catalog.text, pg_catalog.text, pg_catalog.text[], pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.migrate_chroma(
    pg_catalog.text, pg_catalog.uuid, pg_catalog.bool, pg_catalog.text, pg_catalog.jsonb, pg_catalog.text, pg_catalog.text,
    pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text,
    pg_catalog.text, pg_catalog.text, pg_catalog.text[], pg_catalog.int4, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.verify_migration(pg_catalog.int8, pg_catalog.bool) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.import_index(pg_catalog.text, pg_catalog.text, pg_catalog.text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.embed_text(pg_catalog.text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.embed_text(pg_catalog.text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.model_info() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.search_content(
    pg_catalog.text, pg_catalog.text, pg_catalog.int4, pg_catalog.text, pg_catalog.text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.search_entities(
    pg_catalog.text, pg_catalog.text, pg_catalog.int4, pg_catalog.text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.chroma_query(
    pg_catalog.text, pg_catalog.int4, pg_catalog.jsonb, pg_catalog.jsonb, pg_catalog.text, pg_catalog.text, pg_catalog.text) FROM PUBLIC;
