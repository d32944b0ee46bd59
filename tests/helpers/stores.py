"""Put files into an object store, and serve a folder by HTTP."""

import functools
import http.server
import threading
from contextlib import contextmanager

from screens import write_screen

from microsnoop_engine.storage.paths import files_in, upload


def put(path, file):
    """Put a file, or a folder with all its files, into the store."""
    for relative_path in files_in(file) if file.is_dir() else [None]:
        if relative_path is None:
            upload(file, path)
        else:
            upload(file / relative_path, path.joinpath(*relative_path.parts))
    return path


def upload_text(path, text):
    path.fs.pipe_file(path.path, text.encode())


@contextmanager
def http_server(folder):
    """Serve a folder of this machine and yield the address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def write_screen_of_five(folder):
    """Write a LoadData CSV of five image sets on the disk, the third of which lacks a file."""
    names = ["DNA0.tif", "DNA1.tif", "missing.tif", "DNA2.tif", "DNA3.tif"]
    return write_screen(folder, 5, FileName_DNA=names)
