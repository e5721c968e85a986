"""What a figure is worth nothing without: the machine, the versions, the settings, the sizes."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import server

SETTINGS = (
    "shared_buffers", "max_wal_size", "maintenance_work_mem", "work_mem", "synchronous_commit", "fsync",
    "full_page_writes", "wal_level", "autovacuum", "max_parallel_maintenance_workers", "vector_migrate.batch_bytes",
)


def first_value(path, key):
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "unknown"


def load():
    """How many processes wanted a processor in the last minute: what else runs spoils the figures."""
    return round(os.getloadavg()[0], 2)


def machine():
    return {
        "processor": first_value("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_bytes": int(first_value("/proc/meminfo", "MemTotal").split()[0]) * 1024,
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "load_before": load(),
    }


def digest_of_library():
    """The installed library's digest: it must be one and the same in all rounds."""
    folder = subprocess.check_output([os.environ["PG_CONFIG"], "--pkglibdir"], text=True).strip()
    return hashlib.sha256(Path(folder, "vector_migrate.so").read_bytes()).hexdigest()[:16]


def versions():
    extensions = dict(server.ask("SELECT extname, extversion FROM pg_extension"))
    return {
        "postgresql": server.ask("SHOW server_version")[0][0],
        "pgvector": extensions["vector"],
        "vector_migrate": extensions["vector_migrate"],
        "library": digest_of_library(),
        "commit": subprocess.check_output(["git", "describe", "--always", "--dirty"], text=True).strip(),
        "chromadb": importlib.metadata.version("chromadb"),
        "psycopg": importlib.metadata.version("psycopg"),
        "python": platform.python_version(),
    }


def settings():
    # A setting of the extension is known once its library is there.
    with server.connect() as session:
        session.execute("LOAD 'vector_migrate'")
        return {name: session.execute(f"SHOW {name}").fetchone()[0] for name in SETTINGS}


def store_sizes(store):
    files = [path for path in Path(store).rglob("*") if path.is_file()]
    sqlite = sum(path.stat().st_size for path in files if path.name == "chroma.sqlite3")
    everything = sum(path.stat().st_size for path in files)
    return {"store_bytes": everything, "sqlite_bytes": sqlite, "index_file_bytes": everything - sqlite}


def table_sizes():
    row = server.ask(
        "SELECT pg_table_size('content_vectors'), pg_indexes_size('content_vectors'), "
        "pg_total_relation_size('vector_migrate.run_rows')"
    )[0]
    return {"table_bytes": row[0], "table_index_bytes": row[1], "ledger_bytes": row[2]}
