"""Drive a worker process as its hosts do, with its lines laid open, and pass arrays to it."""

import json
import subprocess
import sys

import numpy as np
from appose import NDArray
from waiting import PATIENCE

COMMAND = [sys.executable, "-m", "microsnoop_engine", "worker", "--device", "cpu", "--precision", "float32"]
IMAGE = np.random.default_rng(0).integers(0, 4000, (2, 120, 120)).astype(np.uint16)
LABELS = np.zeros((120, 120), np.int32)
LABELS[20:40, 20:40], LABELS[60:90, 70:90] = 1, 5


class Raw:
    """Start a worker and exchange single lines with it."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [*COMMAND, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def send(self, line):
        data = line if isinstance(line, bytes) else (json.dumps(line) if isinstance(line, dict) else line).encode()
        self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()

    def receive(self):
        return json.loads(self.process.stdout.readline())

    def answer(self, line):
        """Send a line and return the response that ends its task."""
        self.send(line)
        while (reply := self.receive())["responseType"] in ("LAUNCH", "UPDATE"):
            pass
        return reply

    def execute(self, script, **inputs):
        return self.answer({"task": "t", "requestType": "EXECUTE", "script": script, "inputs": inputs})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0
        assert self.process.stdout.read() == b""
        self.process.stdout.close()
        self.process.stderr.close()


def npy(folder, name, array):
    """Write an array as an input in a file."""
    np.save(folder / f"{name}.npy", array)
    return {"npy": str(folder / f"{name}.npy")}


def shared(array):
    """Copy an array into shared memory."""
    memory = NDArray(array.dtype.name, list(array.shape))
    memory.ndarray()[...] = array
    return memory
