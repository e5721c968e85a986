"""A store in the course of its life: opened by one release after the other, directly or through a server."""

import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures" / "make"))

from model import DEFAULT_DATABASE, DEFAULT_TENANT, Collection, Store, hex32


def unhex(text):
    return list(struct.unpack(f"<{len(text) // 8}f", bytes.fromhex(text)))


class Watched:
    """A collection's handle that remembers the ids of refused writes: some are in the queue all the same."""

    def __init__(self, handle, doubtful):
        self.handle = handle
        self.doubtful = doubtful

    def __getattr__(self, name):
        call = getattr(self.handle, name)
        if name not in ("add", "update", "upsert", "delete"):
            return call

        def watched(**arguments):
            try:
                return call(**arguments)
            except Exception:
                self.doubtful.update(arguments.get("ids") or [])
                raise

        return watched


class Life(Store):
    """A store that may exist already, opened in this process or through the server at `port`."""

    def __init__(self, path, known, port=None):
        self.known = {tuple(key) for key in known}
        self.port = port
        super().__init__(path)

    def client(self, tenant=DEFAULT_TENANT, database=DEFAULT_DATABASE):
        key = (tenant, database)
        if key not in self.clients:
            arguments = {"path": self.path, "settings": self.settings}
            if self.port is not None:
                arguments = {"host": "127.0.0.1", "port": self.port, "settings": self.remote()}
            if self.at_least("0.4.15"):
                if key not in self.known and key != (DEFAULT_TENANT, DEFAULT_DATABASE):
                    admin = self.chromadb.AdminClient(self.settings if self.port is None else self.remote())
                    if tenant not in {DEFAULT_TENANT} | {known for known, _ in self.known}:
                        admin.create_tenant(tenant)
                    admin.create_database(database, tenant)
                self.known.add(key)
                arguments.update(tenant=tenant, database=database)
            make = self.chromadb.PersistentClient if self.port is None else self.chromadb.HttpClient
            self.clients[key] = make(**arguments)
        return self.clients[key]

    def remote(self):
        from chromadb.config import Settings

        return Settings(
            anonymized_telemetry=False,
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host="127.0.0.1",
            chroma_server_http_port=self.port,
        )

    def reopen(self, state):
        """The collections that an earlier stage left, with what they should hold."""
        for given in state["collections"]:
            handle = self.client(given["tenant"], given["database"]).get_collection(given["name"], embedding_function=None)
            c = Collection(handle, given["tenant"], given["database"], given["name"], given["space"], given["dimension"])
            c.role = given["role"]
            c.removed = given["removed"]
            c.doubtful = set(given.get("doubtful", []))
            c.handle = Watched(handle, c.doubtful)
            for id, held in given["records"].items():
                c.records[id] = {**held, "input": unhex(held["input"])}
            self.collections.append(c)

    def listed(self):
        """Tenant, database and name of every collection, as the release lists them; some releases give the names alone."""
        for key in sorted(self.known | {(DEFAULT_TENANT, DEFAULT_DATABASE)}):
            for given in self.client(*key).list_collections():
                yield *key, given if isinstance(given, str) else given.name

    def state(self):
        """What `reopen` needs."""
        return [
            {
                "id": str(c.handle.id),
                "tenant": c.tenant,
                "database": c.database,
                "name": c.name,
                "space": c.space,
                "dimension": c.dimension,
                "role": c.role,
                "removed": c.removed,
                "doubtful": sorted(c.doubtful),
                "records": {id: {**held, "input": hex32(held["input"])} for id, held in c.records.items()},
            }
            for c in self.collections
        ]

    def new(self, role, space, dimension, **given):
        # Not the fixtures' 2 neighbours: with those, some histories end 0.4.3 and 0.6.3 with a segmentation fault.
        c = self.create(f"{role}-{len(self.collections)}", space, dimension, neighbours=16, **given)
        self.adopt(c, role)
        return c

    def adopt(self, c, role):
        c.role = role
        c.removed = {}
        c.doubtful = set()
        c.handle = Watched(c.handle, c.doubtful)
