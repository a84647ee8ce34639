"""Prints what cloud-init's own processor finds in user data files, as one JSON object a file.

Usage: /usr/bin/python3 cloud_init_parts.py FILE...

Needs the Python modules of Debian's package cloud-init. Fetches nothing: included URLs are listed.
"""

import base64
import json
import logging
import sys
import tempfile

from cloudinit import helpers, user_data, util
from cloudinit.config import cc_write_files

logging.disable(logging.CRITICAL)


def encoded(data):
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    return base64.b64encode(data).decode()


class Nothing:
    """What every URL answers: nothing."""

    contents = b""

    def ok(self):
        return True


class Processor(user_data.UserDataProcessor):
    """cloud-init's processor, which notes URLs instead of fetching them."""

    def __init__(self, paths):
        super().__init__(paths)
        self.urls = []

    def _do_include(self, content, append_msg):
        original = user_data.read_file_or_url

        def note(url, **_kwargs):
            self.urls.append(url)
            return Nothing()

        user_data.read_file_or_url = note
        try:
            super()._do_include(content, append_msg)
        finally:
            user_data.read_file_or_url = original


def texts(value):
    """Every text in a configuration, keys left out."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [text for entry in value for text in texts(entry)]
    return [value] if isinstance(value, str) else []


def configuration(payload):
    config = util.load_yaml(payload, default={})
    files = []
    for entry in config.get("write_files") or []:
        kinds = cc_write_files.canonicalize_extraction(entry.get("encoding"))
        content = cc_write_files.extract_contents(entry.get("content", ""), kinds)
        files.append({"path": entry["path"], "content": encoded(content)})
    commands = {}
    for name in ("runcmd", "bootcmd"):
        entries = config.get(name) or []
        # Words as cloud-init writes them into its script.
        commands[name] = [
            None if entry is None else [str(word) for word in entry] if isinstance(entry, list) else entry
            for entry in entries
        ]
    named = ("users", "ssh_authorized_keys", "packages", "apt")
    return {
        "keys": sorted(config),
        "files": files,
        "commands": commands,
        "settings": [text for name in named for text in texts(config.get(name))],
    }


def inspect(path, paths):
    with open(path, "rb") as file:
        blob = file.read()
    processor = Processor(paths)
    parts = []
    for part in processor.process(blob).walk():
        if part.get_content_maintype() == "multipart":
            continue
        payload = util.fully_decoded_payload(part)
        if not payload:
            continue
        found = {"type": part.get_content_type(), "payload": encoded(payload)}
        if found["type"] == "text/cloud-config":
            found["config"] = configuration(payload)
        parts.append(found)
    return {"file": path, "parts": parts, "urls": processor.urls}


def main():
    for path in sys.argv[1:]:
        # A directory each: what #include-once has fetched is remembered there.
        with tempfile.TemporaryDirectory() as directory:
            paths = helpers.Paths({"cloud_dir": directory, "run_dir": directory})
            print(json.dumps(inspect(path, paths)))


main()
