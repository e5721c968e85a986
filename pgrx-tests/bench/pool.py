"""What the sessions of a pool cost: `pool.py OUT.json SESSIONS ROUNDS now=SOCKET_FOLDER [before=SOCKET_FOLDER]`.

Started by embed.sh, which has the private servers, one for each version of the extension. The versions take turns, session by
session and batch by batch, in alternating order. Only the sessions that are measured are connected meanwhile.
"""

import json
import sys
from pathlib import Path

from sessions import LONG, Server, look, text

LATER = 20  # searches after a session's first one
POOLS = (1, 10, 50)
SEARCHES = 5  # of each session of a pool
TEXTS, WORDS = 500, 57  # of a batch; about 60 tokens each


def turn(servers, number):
    return servers if number % 2 == 0 else list(reversed(servers))


def new_sessions(servers, count):
    """Seconds of the first search and of those after it; one session before the count, so that all is cached."""
    took = {server.name: {"first": [], "later": []} for server in servers}
    for number in range(-1, count):
        for server in turn(servers, number):
            backend = server.connect()
            # Texts that the session before has not had, but the other version's.
            start = 1000 + (number + 1) * (LATER + 1)
            first = backend.search(start)
            later = [backend.search(start + 1 + at) for at in range(LATER)]
            backend.close()
            if number >= 0:
                took[server.name]["first"].append(first)
                took[server.name]["later"] += later
    return took


def pool(server, count):
    """Memory and threads of so many sessions: connected, after searches, and when they have been idle for long enough."""
    backends = [server.connect() for _ in range(count)]
    for backend in backends:
        backend.rows("SELECT 1")
    found = {"connected": look(backends)}
    first = []
    for at, backend in enumerate(backends):
        took = [backend.search(2000 + at * SEARCHES + number) for number in range(SEARCHES)]
        first.append(took[0])
    found["searched"] = look(backends)
    found["first"] = first
    server.let_idle(backends, 3000)
    found["idle"] = look(backends)
    for backend in backends:
        backend.close()
    return found


def batches(servers, rounds):
    """Seconds of large batches, one before the count, and the memory of a session that has had them."""
    found = {server.name: {"seconds": [], "processor": []} for server in servers}
    backends = {server.name: server.connect(LONG) for server in servers}
    for server in servers:
        for number in range(SEARCHES):
            backends[server.name].search(4000 + number)
        found[server.name]["searched"] = look([backends[server.name]])
    for number in range(rounds + 1):
        # Others in every round: a session keeps some of the vectors that it has made.
        texts = [text(10_000 * (number + 1) + at, WORDS) for at in range(TEXTS)]
        for server in turn(servers, number):
            seconds, processor = backends[server.name].embed(texts)
            if number > 0:
                found[server.name]["seconds"].append(seconds)
                found[server.name]["processor"].append(processor)
            else:
                found[server.name]["first_batch"] = look([backends[server.name]])
    for server in servers:
        backend = backends[server.name]
        found[server.name]["batches"] = look([backend])
        server.let_idle([backend], 5000)
        found[server.name]["idle"] = look([backend])
    for backend in backends.values():
        backend.close()
    return found


def main(out, sessions, rounds, *named):
    servers = [Server(*one.split("=", 1)) for one in named]
    versions = {server.name: server.prepare() for server in servers}
    print("    new sessions", flush=True)
    result = {
        "versions": versions,
        "sessions": int(sessions),
        "later": LATER,
        "searches": SEARCHES,
        "texts": TEXTS,
        "took": new_sessions(servers, int(sessions)),
        "pools": {},
    }
    for at, count in enumerate(POOLS):
        print(f"    {count} connected", flush=True)
        result["pools"][count] = {server.name: pool(server, count) for server in turn(servers, at)}
    print("    batches", flush=True)
    result["batches"] = batches(servers, int(rounds))
    Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 5:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
