-- The demo's second store, run by demo.sh after demo.sql, in a database of its own; psql variable `path`.
-- Promise: every statement is shown as it is sent, with its answer; the first error ends it; no vector is printed.
\set ON_ERROR_STOP 1
\set QUIET 1
\pset pager off
\pset null '(null)'
\pset footer off
\timing off
\set QUIET 0
\set VERBOSITY default
\set SHOW_CONTEXT never

\echo
\echo '### 9. A store of another kind: several collections, no owners, two dimensions'
\echo
\set ECHO queries
CREATE EXTENSION vector_migrate CASCADE;
SELECT collection, dimension, space, records, documents, users FROM chroma_collections(:'path');
SELECT records, estimated_rows, warnings FROM chroma_store(:'path');
\set ECHO none

\echo
\echo '### 10. The same call, no other argument: first dry, then in earnest'
\echo
\set ECHO queries
SELECT * FROM migrate_chroma(:'path', dry_run => true);
SELECT * FROM migrate_chroma(:'path');
\set ECHO none

\echo
\echo '### 11. What has become of it'
\echo
\set ECHO queries
SELECT left(searchable_text, 76) AS text, chroma_collection, user_id FROM content_vectors_32
 ORDER BY embedding <=> (SELECT embedding FROM content_vectors_32 WHERE id = 'minutes-2023-5') LIMIT 2;
SELECT left(searchable_text, 76) AS text, chroma_collection, user_id FROM content_vectors_48
 ORDER BY embedding <=> (SELECT embedding FROM content_vectors_48 WHERE id = 'letters-2') LIMIT 2;
\set ECHO none

\echo
\echo '### 12. One run, one rollback: both tables are as they were'
\echo
\set ECHO queries
SELECT * FROM rollback_migration();
SELECT (SELECT count(*) FROM content_vectors_32) AS content_vectors_32, (SELECT count(*) FROM content_vectors_48) AS content_vectors_48;
\set ECHO none

\echo
\echo '### 13. Or a table for each collection'
\echo
\set ECHO queries
SELECT collection, migrated, note FROM migrate_chroma(:'path', target => 'file_{collection}', entity_target => NULL);
SELECT relname FROM pg_catalog.pg_class WHERE relname LIKE 'file\_%' AND relkind = 'r' ORDER BY 1;
\set ECHO none
