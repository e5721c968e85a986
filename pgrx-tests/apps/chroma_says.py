"""What chromadb itself says is in a store: `chroma_says.py DIRECTORY`, on a copy, in a process of its own."""

import json
import shutil
import sys
import tempfile

import chromadb


def collection(found):
    space = ((found.configuration or {}).get("hnsw") or {}).get("space")
    return {"name": found.name, "id": str(found.id), "metadata": found.metadata, "space": space, "ids": sorted(found.get()["ids"])}


def main():
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(sys.argv[1], copy, dirs_exist_ok=True)
        client = chromadb.PersistentClient(path=copy)
        names = sorted(found.name for found in client.list_collections())
        print(json.dumps([collection(client.get_collection(name, embedding_function=None)) for name in names]))


if __name__ == "__main__":
    main()
