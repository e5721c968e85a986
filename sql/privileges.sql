-- Who may do what. The ledger is written by the extension as its owner; roles see the runs of roles that
-- they are members of. Functions that read the server's disk are nobody's until granted, and ask for
-- pg_read_server_files themselves.

GRANT USAGE ON SCHEMA vector_migrate TO PUBLIC;
GRANT SELECT ON vector_migrate.runs, vector_migrate.run_errors, vector_migrate.run_rows TO PUBLIC;

ALTER TABLE vector_migrate.runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE vector_migrate.run_errors ENABLE ROW LEVEL SECURITY;
ALTER TABLE vector_migrate.run_rows ENABLE ROW LEVEL SECURITY;

-- By way of pg_roles: a role that has been dropped since has no members, and is no error.
CREATE POLICY own_runs ON vector_migrate.runs FOR SELECT
    USING (EXISTS (SELECT FROM pg_catalog.pg_roles r
                    WHERE r.rolname = role AND pg_catalog.pg_has_role(r.oid, 'USAGE')));
CREATE POLICY own_runs ON vector_migrate.run_errors FOR SELECT
    USING (run_id IN (SELECT r.run_id FROM vector_migrate.runs r));
CREATE POLICY own_runs ON vector_migrate.run_rows FOR SELECT
    USING (run_id IN (SELECT r.run_id FROM vector_migrate.runs r));

REVOKE ALL ON FUNCTION chroma_collections(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION chroma_store(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION chroma_records(text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION check_model(text, text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION migrate_chroma(text, text, boolean, text, jsonb, text, text, text, text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION migrate_chroma(text, bigint, boolean, text, jsonb, text, text, text, text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION migrate_chroma(text, uuid, boolean, text, jsonb, text, text, text, text, text, text, boolean) FROM PUBLIC;
