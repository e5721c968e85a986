# vector_migrate: build, install, test, show. The work is in scripts/; `make help` lists the targets.
#
#   PG_CONFIG=/path/to/pg_config   which PostgreSQL (default: Debian's PostgreSQL 15, else the PATH's)
#   CHROMA=/path/to/store          for `make demo`: your own Chroma directory
#   RELEASES='...' SEEDS='...'     for fidelity: which chromadb releases, which histories
#   HISTORIES=1000                 for property: how many histories (RELEASES= as well)
#   ROUNDS=50                       for live: how many reads of each release (RELEASES= as well)
#   SECONDS_EACH=60 FUZZ_SEED=1    for fuzz: how long each of the five kinds goes on, and which cases
#   N=100000 ROUNDS=5 INDEX=1      for bench: records, rounds, rounds of the vector index, imported against built (VECTORS=,
#                                  INDEX_BEFORE= as well; pgrx-tests/bench/README.md)
#   SOAK_SECONDS=600 OLD= NEW=     for soak: how long sessions go on; two pg_config for pg_upgrade
#   CANCELS=60 SWAPS=40             for soak and test-server: calls in each loop of cancels and swapped_paths
#   DEATHS=3 PAGE_ONE=4 COLLECTIONS=2000  for soak, test-server and test-core: rounds of private_copies; values for each
#                                  byte of page_one; collections of many_collections
#   TESTARGS='...'                 for the test targets: arguments for cargo test
#   SESSIONS=10 ROUNDS=5 THREADS='1 2' BEFORE=  for bench-embed: new sessions, rounds, threads of the model; a pg_config whose
#                                  version of the extension is measured beside
#   APPS='mem0 haystack'           for apps: which applications
#   SUDO=sudo                      let setup and install use sudo where root is needed

PG_CONFIG ?=
CHROMA ?=
SUDO ?=
TESTARGS ?=
export PG_CONFIG CHROMA SUDO

.PHONY: help setup install uninstall sql test test-core test-server fidelity property fuzz live soak bench bench-embed bench-collections bench-applications apps fmt lint demo demo-stop clean-clusters

help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

setup: ## install what building and running need, where it is missing
	@scripts/setup/all.sh

install: setup ## build the extension and install it into PG_CONFIG's PostgreSQL
	@scripts/install.sh

uninstall: ## remove everything that install put there
	@scripts/uninstall.sh

sql: setup ## write sql/vector_migrate--VERSION.sql anew: after a change of a function's SQL or of sql/
	@scripts/sql.sh

test: install ## all tests, on a private server under target/
	@scripts/test.sh core $(TESTARGS)
	@scripts/test.sh server $(TESTARGS)

test-core: setup ## only the tests that need no server
	@scripts/test.sh core $(TESTARGS)

test-server: install ## only the tests on a server
	@scripts/test.sh server $(TESTARGS)

fidelity: ## random stores by real chromadb releases against the reader (RELEASES=, SEEDS=)
	@pgrx-tests/fidelity/run.sh

property: ## a thousand short histories by the oldest and the newest release (HISTORIES=, RELEASES=)
	@pgrx-tests/fidelity/property.sh

fuzz: ## damaged headers, index data, graphs, pickles and queue rows: no panic, bounded memory (SECONDS_EACH=, FUZZ_SEED=)
	FUZZ_SECONDS=$(or $(SECONDS_EACH),60) cargo test -p vector_migrate_core --test fuzz -- --nocapture --test-threads 2

live: ## reads while chromadb releases write: every result is one moment of the store (RELEASES=, ROUNDS=)
	@pgrx-tests/fidelity/live.sh

soak: install ## what takes long: sessions beside pgbench, 2,000 cancels, swapped paths, pg_upgrade (SOAK_SECONDS=, OLD=, NEW=, ONLY=)
	@pgrx-tests/soak/run.sh

bench: install ## migrate_chroma against COPY and Python, stage by stage; the vector index (N=, DIM=, SPACE=, ROUNDS=, INDEX=)
	@pgrx-tests/bench/run.sh

bench-embed: install ## embedding: sessions of a pool, batches against bare ONNX Runtime (SESSIONS=, ROUNDS=, THREADS=, BEFORE=)
	@pgrx-tests/bench/embed.sh

bench-applications: install ## Open WebUI's chunks into its table, against INSERT ... SELECT over chroma_records (CHUNKS=, ROUNDS=)
	@pgrx-tests/bench/applications.sh

bench-collections: install ## a store of more than a thousand collections in one call, against reading it (COLLECTIONS=, ROUNDS=)
	@pgrx-tests/bench/collections.sh

apps: install ## the tables of real applications, filled, and asked by the applications' own clients (APPS=)
	@pgrx-tests/apps/run.sh $(APPS)

fmt: ## format the Rust code
	cargo fmt --all

lint: setup ## formatting, clippy, the install script against the code, and pgspot over it; warnings are errors
	@scripts/lint.sh

demo: install ## migrate a Chroma store on a private server, step by step
	@scripts/demo.sh

demo-stop: ## stop the demo's server
	@scripts/cluster.sh stop demo

clean-clusters: ## remove the private servers and their data
	@scripts/cluster.sh destroy demo
	@scripts/cluster.sh destroy test
