-- How the content table is best stored: load time, size, and the time of a top-10 query with and without an index.
-- psql -v rows=20000 -v dim=384 -f storage.sql, on a private server with pgvector.
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
CREATE EXTENSION IF NOT EXISTS vector;
DROP TABLE IF EXISTS source, variant CASCADE;
CREATE TABLE source AS
SELECT 'doc-' || lpad(n::text, 8, '0') AS id, n % 50 AS user_id, random.embedding,
       'Title of document ' || n AS title,
       jsonb_build_object('id', n, 'title', 'Title of document ' || n) AS full_content,
       words.searchable_text,
       jsonb_build_object('user_id', (n % 50)::text, 'score', n / 7.0, 'page', n % 100, 'draft', n % 2 = 0,
                          'content_type', 'article', 'source_url', 'https://example.com/' || n) AS metadata
  FROM generate_series(1, :rows) AS n,
       LATERAL (SELECT array_agg(random() - 0.5)::vector(:dim) FROM generate_series(1, :dim) WHERE n > 0) AS random (embedding),
       LATERAL (SELECT string_agg(md5(n::text || w), ' ') FROM generate_series(1, 18) AS w) AS words (searchable_text);

\set variant 'toast_tuple_target 2040 (the server''s default)'
\set with 'toast_tuple_target = 2040'
\ir storage_variant.sql
\set variant 'toast_tuple_target 4080'
\set with 'toast_tuple_target = 4080'
\ir storage_variant.sql
\set variant 'toast_tuple_target 8160'
\set with 'toast_tuple_target = 8160'
\ir storage_variant.sql
