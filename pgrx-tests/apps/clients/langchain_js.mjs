// LangChain JS, for langchain_js.py: `node langchain_js.mjs COMMAND`, with an answer as JSON.
//
//   write, ask           its Chroma client, over the server whose port is in CHROMA_PORT
//   make, put, look      its PostgreSQL client: the tables, the documents, the same questions; PGHOST, PGPORT ... say where
//   change               adds and deletes

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The packages are not beside this file.
const require = createRequire(`${process.env.APPS_DIR}/js/package.json`);
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);
const { Document } = await load("@langchain/core/documents");
const { Embeddings } = await load("@langchain/core/embeddings");

// As unit() of kit.py.
function unit(text, dim = 8) {
  const raw = createHash("shake256", { outputLength: 4 * dim }).update(text, "utf8").digest();
  const values = Array.from({ length: dim }, (_, n) => raw.readInt32LE(4 * n) / 2 ** 30);
  const length = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
  return values.map((x) => Math.fround(x / length));
}

class OfText extends Embeddings {
  async embedDocuments(texts) {
    return texts.map((text) => unit(text));
  }

  async embedQuery(text) {
    return unit(text);
  }
}

const id = (n) => `15000000-7777-4000-8000-${String(n).padStart(12, "0")}`;
const lines = (from, to) => ({ loc: { lines: { from, to } } });
const content = {
  notes: [
    ["An otter swims.", { file: "otters.md", page: 1, weight: 1.5, draft: true, ...lines(1, 4) }],
    ["A heron waits.", { file: "herons.md", page: 2, weight: 0.25, draft: false, ...lines(5, 9) }],
    ["Almost nothing is said of this one.", { page: 0 }],
    ["Ice \u2744 and \"quotes\"", { file: "signs.md", page: 3, big: 2 ** 40 }],
    ["", { file: "blank.md", ...lines(10, 12) }],
    ["Only where it begins.", { file: "half.md", loc: { lines: { from: 7 } } }],
  ],
  shelf: [
    ["The first book", { year: 2001, ...lines(1, 2) }],
    ["The second book", { year: 2002 }],
    ["The third book", { year: 2003 }],
  ],
};
const first = { notes: 1, shelf: 101 };
const ids = (name) => content[name].map((_, n) => id(first[name] + n));
const documents = (name) => content[name].map(([pageContent, metadata]) => new Document({ pageContent, metadata }));
const conditions = { notes: [{ file: "otters.md" }, { page: 2 }], shelf: [{ year: 2002 }] };

const { Chroma } = await load("@langchain/community/vectorstores/chroma");
const { PGVectorStore } = await load("@langchain/community/vectorstores/pgvector");

async function chroma(name) {
  return new Chroma(new OfText(), { collectionName: name, url: `http://127.0.0.1:${process.env.CHROMA_PORT}` });
}

// `notes` is in a table of its own, as n8n makes it; `shelf` in one with a table of collections.
async function postgres(name) {
  const { PGHOST: host, PGPORT: port, PGUSER: user, PGDATABASE: database } = process.env;
  const more = name === "shelf" ? { collectionName: name, collectionTableName: "js_collections" } : {};
  const tableName = { notes: "n8n_vectors", shelf: "js_vectors" }[name];
  return PGVectorStore.initialize(new OfText(), {
    postgresConnectionOptions: { host, port: Number(port), user, database },
    tableName,
    ...more,
  });
}

const told = ([document, distance]) => ({ id: document.id, text: document.pageContent, metadata: document.metadata, distance });

async function ask(open) {
  const answers = {};
  for (const name of Object.keys(content)) {
    const store = await open(name);
    answers[name] = [];
    for (const text of ["otter", "a book"]) {
      for (const k of [1, 3, 10]) {
        answers[name].push((await store.similaritySearchWithScore(text, k)).map(told));
      }
    }
    for (const condition of conditions[name]) {
      answers[name].push((await store.similaritySearchWithScore("otter", 10, condition)).map(told));
    }
    await store.end?.();
  }
  return answers;
}

async function each(open, what) {
  for (const name of Object.keys(content)) {
    const store = await open(name);
    await what(store, name);
    await store.end?.();
  }
  return null;
}

async function change() {
  const store = await postgres("notes");
  const added = id(99);
  await store.addDocuments([new Document({ pageContent: "Written later", metadata: lines(1, 1) })], { ids: [added] });
  const nearest = (await store.similaritySearch("Written later", 1)).map((document) => document.id);
  await store.delete({ ids: [id(1), added] });
  const left = (await store.similaritySearch("otter", 100)).map((document) => document.id).sort();
  await store.delete({ filter: { file: "herons.md" } });
  const after = (await store.similaritySearch("otter", 100)).map((document) => document.id).sort();
  await store.end();
  return { added, nearest, left, after };
}

const commands = {
  write: () => each(chroma, (store, name) => store.addDocuments(documents(name), { ids: ids(name) })),
  ask: () => ask(chroma),
  make: () => each(postgres, async () => {}),
  put: () => each(postgres, (store, name) => store.addDocuments(documents(name), { ids: ids(name) })),
  look: () => ask(postgres),
  change,
};
console.log(JSON.stringify(await commands[process.argv[2]]()));
