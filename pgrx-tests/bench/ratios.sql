-- The ratios of src/core/survey/ratios.rs, and what chroma_store makes of them for one store:
-- psql -v store=/path/to/store -f pgrx-tests/bench/ratios.sql, from the checkout, in an empty database of a private server.
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS vector_migrate CASCADE;
SELECT count(*) AS lines FROM migrate_chroma(:'store') \gset
\set material `cat demo/material.txt`

-- The store's own texts, prose that does not repeat itself, and noise.
CREATE TEMP TABLE whole AS
SELECT 'documents' AS kind, string_agg(searchable_text, ' ' ORDER BY md5(id)) AS value FROM content_vectors
UNION ALL SELECT 'full_content', string_agg(full_content::text, ' ' ORDER BY md5(id)) FROM content_vectors
UNION ALL SELECT 'prose', :'material'
UNION ALL SELECT 'noise', string_agg(md5(n::text) || upper(md5(n::text || 'x')), '') FROM generate_series(1, 500) AS n;
-- Rows of more than 2,032 bytes are compressed, whatever the target.
CREATE TEMP TABLE long (kind text, text text, json jsonb) WITH (toast_tuple_target = 128);
INSERT INTO long SELECT kind, part, to_jsonb(part)
  FROM whole, unnest(ARRAY[2500, 4000, 8000, 20000, 31000]) AS bytes, left(value, bytes) AS part;
SELECT format('%s of %s bytes, compressed: as text %s%%, as jsonb %s%%', kind, octet_length(text),
              round(100.0 * pg_column_size(text) / octet_length(text)), round(100.0 * pg_column_size(json) / octet_length(text)))
  FROM long ORDER BY kind, octet_length(text);

SELECT format('metadata as jsonb, of its text: %s%%',
              round(100.0 * sum(pg_column_size(metadata || '{}')) / sum(octet_length(metadata::text)))) FROM content_vectors;

CREATE TEMP TABLE moved (value text);
ALTER TABLE moved ALTER value SET STORAGE EXTERNAL;
INSERT INTO moved SELECT repeat(n::text, 20000 / length(n::text)) FROM generate_series(1, 500) AS n;
SELECT format('values of 20,000 bytes in the TOAST table with its index: %s%%',
              round(100 * pg_total_relation_size(reltoastrelid) / (SELECT sum(octet_length(value)) FROM moved)))
  FROM pg_class WHERE oid = 'moved'::regclass;

CREATE TEMP TABLE rising (id text PRIMARY KEY);
CREATE TEMP TABLE padded (id text PRIMARY KEY);
CREATE TEMP TABLE mixed (id text PRIMARY KEY);
INSERT INTO rising SELECT 'record-' || n FROM generate_series(1, 100000) AS n;
INSERT INTO padded SELECT 'record-' || lpad(n::text, 9, '0') FROM generate_series(1, 100000) AS n;
INSERT INTO mixed SELECT md5(n::text) FROM generate_series(1, 100000) AS n;
SELECT format('primary key, of its entries: ids that rise %s%%, with leading zeros %s%%, in mixed order %s%%',
              (SELECT round(100 * pg_relation_size('rising_pkey') / sum((length(id) + 9 + 7) / 8 * 8 + 4)) FROM rising),
              (SELECT round(100 * pg_relation_size('padded_pkey') / sum((length(id) + 9 + 7) / 8 * 8 + 4)) FROM padded),
              (SELECT round(100 * pg_relation_size('mixed_pkey') / sum((length(id) + 9 + 7) / 8 * 8 + 4)) FROM mixed));

SELECT format('estimated_bytes %s, the tables %s: %s%%', estimated_bytes, bytes, round(100 * estimated_bytes / bytes))
  FROM chroma_store(:'store'), (SELECT sum(pg_total_relation_size(oid)) AS bytes
                                  FROM pg_class WHERE relname IN ('content_vectors', 'entity_vectors')) AS tables;
