-- One variant of storage.sql.
DROP TABLE IF EXISTS variant;
CREATE TABLE variant (LIKE source) WITH (:with);
ALTER TABLE variant ADD PRIMARY KEY (id);
CHECKPOINT;
SELECT clock_timestamp() AS began \gset
INSERT INTO variant SELECT * FROM source;
SELECT round(extract(epoch FROM clock_timestamp() - :'began')::numeric, 2) AS load,
       pg_size_pretty(pg_total_relation_size('variant')) AS size \gset
VACUUM ANALYZE variant;
SELECT clock_timestamp() AS began \gset
DO $$ BEGIN FOR i IN 1..5 LOOP PERFORM id FROM (SELECT id FROM variant ORDER BY embedding <=> (SELECT embedding FROM source WHERE user_id = 7 LIMIT 1) LIMIT 10) s; END LOOP; END $$;
SELECT round(1000 * extract(epoch FROM clock_timestamp() - :'began')::numeric / 5, 1) AS exact \gset
SELECT clock_timestamp() AS began \gset
DO $$ BEGIN FOR i IN 1..5 LOOP PERFORM count(*) FROM variant WHERE metadata @> '{"page": 7}'; END LOOP; END $$;
SELECT round(1000 * extract(epoch FROM clock_timestamp() - :'began')::numeric / 5, 1) AS filtered \gset
SET maintenance_work_mem = '1GB';
CREATE INDEX ON variant USING hnsw (embedding vector_cosine_ops);
SELECT clock_timestamp() AS began \gset
DO $$ BEGIN FOR i IN 1..100 LOOP PERFORM id FROM (SELECT * FROM variant ORDER BY embedding <=> (SELECT embedding FROM source WHERE user_id = 7 OFFSET i LIMIT 1) LIMIT 10) s; END LOOP; END $$;
SELECT round(1000 * extract(epoch FROM clock_timestamp() - :'began')::numeric / 100, 2) AS indexed \gset
\echo :dim :variant | load :load s | :size | exact top 10 :exact ms | by metadata :filtered ms | indexed top 10 :indexed ms
