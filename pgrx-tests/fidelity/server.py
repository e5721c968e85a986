"""Runs a command while `chroma run` serves a directory: `server.py DIRECTORY LOG COMMAND...`.

The command finds the port in CHROMA_PORT. Afterwards the server is asked to end, as an administrator would do it.
"""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE = 60  # seconds for the server to answer, and to end


def free_port():
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


def alive(port):
    """Whether the heartbeat of either version of the interface answers."""
    for version in ("v2", "v1"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{version}/heartbeat", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            pass
    return False


def wait_for(port, server):
    """Until the server answers, or has given up."""
    for _ in range(PATIENCE * 10):
        if alive(port):
            return
        try:
            sys.exit(f"chroma run ended with {server.wait(timeout=0.1)}")
        except subprocess.TimeoutExpired:
            pass
    sys.exit("chroma run does not answer")


def main():
    directory, log, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    port = free_port()
    chroma = Path(sys.executable).parent / "chroma"
    with open(log, "ab") as file:
        run = [chroma, "run", "--path", directory, "--host", "127.0.0.1", "--port", str(port)]
        # Its own folder, for the files that the older releases put there.
        server = subprocess.Popen(run, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=Path(log).parent)
        try:
            wait_for(port, server)
            status = subprocess.call(command, env={**os.environ, "CHROMA_PORT": str(port)})
        finally:
            server.terminate()
            server.wait(timeout=PATIENCE)
    sys.exit(status)


if __name__ == "__main__":
    main()
