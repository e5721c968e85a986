-- The demo, run by demo.sh: psql variables are `path` (the Chroma directory) and `own` (true: the reader's own store).
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
\echo '### 1. The extension, and pgvector with it'
\echo
\set ECHO queries
CREATE EXTENSION vector_migrate CASCADE;
\set ECHO none

\echo
\echo '### 2. What is in the Chroma store'
\echo
\set ECHO queries
SELECT tenant, database, collection, dimension, space, records, vectors, documents, users, queued
  FROM chroma_collections(:'path');
\set ECHO none

\echo
\echo '### 3. A dry run: the same work, nothing written'
\echo
\set ECHO queries
SELECT * FROM migrate_chroma(:'path', dry_run => true);
\set ECHO none

\echo
\echo '### 4. The migration'
\echo
\set ECHO queries
SET vector_migrate.progress_interval = 1;
SELECT * FROM migrate_chroma(:'path');
SELECT collection, record_id, reason, message FROM vector_migrate.run_errors ORDER BY 1, 2 LIMIT 10;
\set ECHO none

\echo
\echo '### 5. The same call again changes nothing'
\echo
\set ECHO queries
SELECT * FROM migrate_chroma(:'path');
\set ECHO none

\echo
\echo '### 6. Search by meaning'
\echo
-- search_content embeds the query with the installed model: it fits tables of the model's dimension only. A store of
-- several dimensions has a table for each.
SELECT count(*) > 0 AS searchable, coalesce(min(target), '') AS target,
       CASE WHEN min(target) <> 'content_vectors' THEN format(', target => %L', min(target)) ELSE '' END AS in_target
  FROM (SELECT c.relname::text AS target
          FROM model_info() m, pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'embedding'
         WHERE c.oid IN (to_regclass('content_vectors'), to_regclass('content_vectors_' || m.dimension))
           AND a.atttypmod = m.dimension) AS tables \gset
\if :searchable
  \if :own
    SELECT coalesce(min(title) FILTER (WHERE n = 1), 'anything') AS query1,
           coalesce(min(title) FILTER (WHERE n = 2), 'anything') AS query2,
           coalesce(min(title) FILTER (WHERE n = 3), 'anything') AS query3
      FROM (SELECT left(title, 80) AS title, row_number() OVER (ORDER BY md5(title)) AS n
              FROM (SELECT DISTINCT title FROM :"target") AS titles) AS some_titles \gset
  \endif
  \set ECHO queries
SELECT left(title, 60) AS title, round(similarity::numeric, 3) AS similarity, left(source_url, 50) AS source_url
  FROM search_content(:'query1', match_count => 3:in_target);
SELECT left(title, 60) AS title, round(similarity::numeric, 3) AS similarity, left(source_url, 50) AS source_url
  FROM search_content(:'query2', match_count => 3:in_target);
SELECT left(title, 60) AS title, round(similarity::numeric, 3) AS similarity, left(source_url, 50) AS source_url
  FROM search_content(:'query3', match_count => 3:in_target);
  \set ECHO none
\else
  \echo 'Left out: the migrated vectors are of another dimension than the installed text model gives.'
\endif

\echo
\echo '### 7. A second run, into other tables, and its rollback'
\echo
\set ECHO queries
SELECT * FROM migrate_chroma(:'path', target => 'demo_content', entity_target => 'demo_entities', orphans => 'keep');
SELECT * FROM rollback_migration();
\set ECHO none

\echo
\echo '### 8. What the ledger says'
\echo
\set ECHO queries
SELECT run_id, status, found, migrated, skipped, failed, index_way FROM vector_migrate.runs ORDER BY 1;
\set ECHO none
