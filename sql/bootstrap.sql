-- The ledger: state of vector_migrate in a schema of its own. Readable by the roles that ran a run,
-- written by the extension only; see privileges.sql.
--
-- This runs as a superuser with the target schema in search_path, where others may have put functions, operators and
-- types: every name is qualified. Key words of the grammar are not names (coalesce, EXISTS). The types in pgrx's own CREATE
-- FUNCTION are found in pg_catalog, which is searched before the target schema (execute_extension_script in extension.c leaves
-- it out of the path it sets); functions and operators are not, where another schema has some of better fitting types.

-- Arguments and results are UTF-8 like Chroma's texts: another database encoding cannot hold them.
DO $$
BEGIN
    IF pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE feature_not_supported USING
            MESSAGE = 'the database''s encoding is not UTF8',
            HINT = 'Chroma''s texts are UTF-8: use a database created with ENCODING ''UTF8''.';
    END IF;
END
$$;

CREATE SCHEMA vector_migrate;
COMMENT ON SCHEMA vector_migrate IS 'runs of vector_migrate, what they rejected and what undoes them';

CREATE TABLE vector_migrate.runs (
    run_id             pg_catalog.int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    path               pg_catalog.text NOT NULL,
    options            pg_catalog.jsonb NOT NULL,
    status             pg_catalog.text NOT NULL
                       CHECK (status OPERATOR(pg_catalog.=) ANY (ARRAY['completed', 'rolled back'])),
    started_at         pg_catalog.timestamptz NOT NULL,
    finished_at        pg_catalog.timestamptz NOT NULL,
    rolled_back_at     pg_catalog.timestamptz,
    found              pg_catalog.int8 NOT NULL,
    migrated           pg_catalog.int8 NOT NULL,
    skipped            pg_catalog.int8 NOT NULL,
    failed             pg_catalog.int8 NOT NULL,
    reused             pg_catalog.int8 NOT NULL,
    exact              pg_catalog.int8 NOT NULL,
    restored           pg_catalog.int8 NOT NULL,
    missing            pg_catalog.int8 NOT NULL,
    stale              pg_catalog.int8 NOT NULL,
    embedded           pg_catalog.int8 NOT NULL,
    entities           pg_catalog.int8 NOT NULL,
    model              pg_catalog.text,
    source_fingerprint pg_catalog.jsonb NOT NULL,
    role               pg_catalog.name NOT NULL,
    content_target     pg_catalog.regclass NOT NULL,
    entity_target      pg_catalog.regclass,
    truncated          pg_catalog.int8 NOT NULL DEFAULT 0,
    model_verdict      pg_catalog.text
                       CHECK (model_verdict OPERATOR(pg_catalog.=)
                              ANY (ARRAY['same model', 'similar', 'different', 'not comparable'])),
    index_way          pg_catalog.text
                       CHECK (index_way OPERATOR(pg_catalog.=) ANY (ARRAY['imported', 'built', 'inserted'])),
    index_reason       pg_catalog.text,
    index_seconds      pg_catalog.float8,
    index_recall       pg_catalog.float8,
    nul_changed        pg_catalog.int8 NOT NULL DEFAULT 0,
    CHECK (found OPERATOR(pg_catalog.=) (migrated OPERATOR(pg_catalog.+) skipped OPERATOR(pg_catalog.+) failed)),
    CHECK (migrated OPERATOR(pg_catalog.=) (reused OPERATOR(pg_catalog.+) embedded)
           AND reused OPERATOR(pg_catalog.=) (exact OPERATOR(pg_catalog.+) restored))
);
COMMENT ON TABLE vector_migrate.runs IS 'one row for each migrate_chroma() that committed';
COMMENT ON COLUMN vector_migrate.runs.reused IS 'migrated with the vector that the store had';
COMMENT ON COLUMN vector_migrate.runs.exact IS 'of the reused ones: bit for bit what Chroma was given';
COMMENT ON COLUMN vector_migrate.runs.restored IS 'of the reused ones: kept normalised by Chroma (cosine) and multiplied back by their length, within 4 units in the last place';
COMMENT ON COLUMN vector_migrate.runs.missing IS 'of the records that the target did not have: the store has no vector for them, whether they were embedded or failed; 0 with embeddings => ''generate'', which looks at none';
COMMENT ON COLUMN vector_migrate.runs.stale IS 'of the reused ones: may be older than the rest of their record, as Chroma lost the newer vector; listed in run_errors';
COMMENT ON COLUMN vector_migrate.runs.truncated IS 'texts that were embedded, of content and entities, and longer than the model takes: what comes after its token limit is not in their vectors';
COMMENT ON COLUMN vector_migrate.runs.model_verdict IS 'of a sample of the reused vectors, as check_model() says it: whether they are those of the model that was installed; null: not compared';
COMMENT ON COLUMN vector_migrate.runs.index_way IS 'how the content table''s vector index came: imported from Chroma''s graph, built by pgvector, or inserted row by row; null: the run made none';
COMMENT ON COLUMN vector_migrate.runs.index_reason IS 'of an imported index what it is made of, of another one why it was not imported';
COMMENT ON COLUMN vector_migrate.runs.index_seconds IS 'seconds that the index took, its proof included';
COMMENT ON COLUMN vector_migrate.runs.index_recall IS 'recall@10 at hnsw.ef_search 40 of up to 64 of the index''s own elements as queries, against all of its elements; null: not measured';
COMMENT ON COLUMN vector_migrate.runs.content_target IS 'the first of the run''s tables; run_targets has all, with the index of each';
COMMENT ON COLUMN vector_migrate.runs.nul_changed IS 'of the migrated ones: U+0000 was taken out of them or replaced, as nul_characters asked';
COMMENT ON COLUMN vector_migrate.runs.source_fingerprint IS 'sizes and times of the store''s files when they were read';

CREATE TABLE vector_migrate.run_targets (
    run_id         pg_catalog.int8 NOT NULL,
    target_no      pg_catalog.int4 NOT NULL,
    content_target pg_catalog.regclass NOT NULL,
    entity_target  pg_catalog.regclass,
    created        pg_catalog.bool NOT NULL,
    migrated       pg_catalog.int8 NOT NULL,
    entities       pg_catalog.int8 NOT NULL,
    index_way      pg_catalog.text
                   CHECK (index_way OPERATOR(pg_catalog.=) ANY (ARRAY['imported', 'built', 'inserted'])),
    index_reason   pg_catalog.text,
    index_seconds  pg_catalog.float8,
    index_recall   pg_catalog.float8,
    preset             pg_catalog.text,
    id_columns         pg_catalog.text[] NOT NULL,
    collection_columns pg_catalog.text[] NOT NULL,
    user_columns       pg_catalog.text[] NOT NULL,
    columns            pg_catalog.json NOT NULL,
    space              pg_catalog.text,
    content_name       pg_catalog.text NOT NULL,
    sources            pg_catalog.text[] NOT NULL,
    PRIMARY KEY (run_id, target_no)
);
COMMENT ON TABLE vector_migrate.run_targets IS 'the tables of each run, in the order in which it filled them';
COMMENT ON COLUMN vector_migrate.run_targets.created IS 'the run made the content table';
COMMENT ON COLUMN vector_migrate.run_targets.migrated IS 'content rows that it got';
COMMENT ON COLUMN vector_migrate.run_targets.entities IS 'entity rows that came with them';

CREATE TABLE vector_migrate.run_errors (
    run_id     pg_catalog.int8 NOT NULL,
    collection pg_catalog.text NOT NULL,
    record_id  pg_catalog.text NOT NULL,
    user_id    pg_catalog.text,
    reason     pg_catalog.text NOT NULL,
    message    pg_catalog.text NOT NULL
);
-- Rows of a run lie together, and a run that skips everything writes one for each record: this index costs next to nothing.
CREATE INDEX run_errors_run_id ON vector_migrate.run_errors USING brin (run_id) WITH (pages_per_range = 16);
COMMENT ON COLUMN vector_migrate.run_targets.preset IS 'the preset whose table it is; null: described by the argument columns';
COMMENT ON COLUMN vector_migrate.run_targets.id_columns IS 'columns of the content table with the record''s id, or what stands for it';
COMMENT ON COLUMN vector_migrate.run_targets.collection_columns IS 'columns that all rows of a collection have the same in';
COMMENT ON COLUMN vector_migrate.run_targets.user_columns IS 'columns with the owner';
COMMENT ON COLUMN vector_migrate.run_targets.columns IS 'what the run put into each column of the content table, as words of the argument columns';
COMMENT ON COLUMN vector_migrate.run_targets.content_name IS 'the content table''s name then, qualified';
COMMENT ON COLUMN vector_migrate.run_targets.sources IS 'the ids that Chroma gave the collections that were to go into it';
COMMENT ON COLUMN vector_migrate.run_targets.space IS 'the distance of the collections that it took; null: they differ, or have no vectors';

CREATE TABLE vector_migrate.run_parents (
    run_id     pg_catalog.int8 NOT NULL,
    target     pg_catalog.regclass NOT NULL,
    parent     pg_catalog.regclass NOT NULL,
    key_column pg_catalog.text NOT NULL,
    key        pg_catalog.text NOT NULL,
    xid        pg_catalog.xid NOT NULL,
    PRIMARY KEY (run_id, parent, key)
);
COMMENT ON TABLE vector_migrate.run_parents IS 'rows that a run made in the tables that its targets refer to, one for each collection that had none; rollback_migration() removes those that nothing refers to';

COMMENT ON TABLE vector_migrate.run_errors IS 'records that a run skipped or could not migrate, with the cause; and migrated ones with a remark (reason stale)';

CREATE TABLE vector_migrate.run_rows (
    run_id     pg_catalog.int8 NOT NULL,
    block_no   pg_catalog.int8 NOT NULL,
    target     pg_catalog.regclass NOT NULL,
    collection pg_catalog.text NOT NULL,
    source     pg_catalog.text NOT NULL,
    collection_key pg_catalog.text,
    keys       pg_catalog.text[] NOT NULL,
    records    pg_catalog.text[],
    users      pg_catalog.text[],
    entities   pg_catalog.int4[],
    xids       pg_catalog.xid[] NOT NULL,
    before     pg_catalog.text[],
    PRIMARY KEY (run_id, block_no),
    CHECK (pg_catalog.cardinality(xids) OPERATOR(pg_catalog.=) pg_catalog.cardinality(keys)
           AND coalesce(pg_catalog.cardinality(records), pg_catalog.cardinality(keys))
               OPERATOR(pg_catalog.=) pg_catalog.cardinality(keys)
           AND coalesce(pg_catalog.cardinality(users), pg_catalog.cardinality(keys))
               OPERATOR(pg_catalog.=) pg_catalog.cardinality(keys)
           AND coalesce(pg_catalog.cardinality(entities), pg_catalog.cardinality(keys))
               OPERATOR(pg_catalog.=) pg_catalog.cardinality(keys)
           AND coalesce(pg_catalog.cardinality(before), pg_catalog.cardinality(keys))
               OPERATOR(pg_catalog.=) pg_catalog.cardinality(keys))
);
-- Compressing vectors as text takes most of an updating run's time and saves next to nothing.
ALTER TABLE vector_migrate.run_rows
    ALTER COLUMN keys SET STORAGE EXTERNAL, ALTER COLUMN before SET STORAGE EXTERNAL;
COMMENT ON TABLE vector_migrate.run_rows IS 'the content rows that a run wrote, in blocks of some thousand rows of one collection, with what rollback_migration() needs to undo them; the arrays of a block have one element for each row';
COMMENT ON COLUMN vector_migrate.run_rows.source IS 'the id that Chroma gave the collection, which is the same wherever the store is moved to';
COMMENT ON COLUMN vector_migrate.run_rows.collection_key IS 'what the table''s key has for the collection; null: its name';
COMMENT ON COLUMN vector_migrate.run_rows.keys IS 'ids of the content rows, or what stands for them where the table has no column for the record''s id';
COMMENT ON COLUMN vector_migrate.run_rows.records IS 'the records'' ids there; null: they are the keys';
COMMENT ON COLUMN vector_migrate.run_rows.users IS 'their owners; null where the table''s key has no user_id';
COMMENT ON COLUMN vector_migrate.run_rows.entities IS 'entity rows inserted with each of them; null: none';
COMMENT ON COLUMN vector_migrate.run_rows.xids IS 'xmin of what was written: another one now means that the row has changed since';
COMMENT ON COLUMN vector_migrate.run_rows.before IS 'null: the rows were inserted; else the overwritten rows and their entity rows, as JSON with each column as text';

CREATE TABLE vector_migrate.run_marks (
    run_id pg_catalog.int8 NOT NULL,
    target pg_catalog.oid NOT NULL,
    xact   pg_catalog.xid8 NOT NULL,
    PRIMARY KEY (run_id, target)
);
COMMENT ON TABLE vector_migrate.run_marks IS 'one row for each content table of a run, never changed: as long as its own xmin is xact, the table is the same, and fewer than four billion transactions have gone by, xids in run_rows mean what they meant; a dump and restore makes all three different';

-- Rows of a bulk load, for the extension's own INSERT and UPDATE: nothing to call by hand.
CREATE FUNCTION vector_migrate.bulk_rows(anyelement) RETURNS SETOF anyelement
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vector_migrate_bulk_rows';
COMMENT ON FUNCTION vector_migrate.bulk_rows(anyelement) IS 'rows that migrate_chroma() is loading, for its own statements; an error elsewhere';

SELECT pg_catalog.pg_extension_config_dump('vector_migrate.runs', '');
SELECT pg_catalog.pg_extension_config_dump('vector_migrate.runs_run_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('vector_migrate.run_targets', '');
SELECT pg_catalog.pg_extension_config_dump('vector_migrate.run_parents', '');
SELECT pg_catalog.pg_extension_config_dump('vector_migrate.run_errors', '');
SELECT pg_catalog.pg_extension_config_dump('vector_migrate.run_rows', '');
SELECT pg_catalog.pg_extension_config_dump('vector_migrate.run_marks', '');
