"""Renders templates as cloud-init does: a JSON list of them on standard input, one of results on output.

Needs the Python modules of Debian's packages cloud-init and python3-jinja2.
"""

import json
import logging
import sys

from cloudinit import templater

logging.disable(logging.CRITICAL)

HEADER = "## template: jinja\n"
print(json.dumps([templater.render_string(HEADER + text, {}) for text in json.load(sys.stdin)]))
