"""Converts a daemon's state to the page as one file, which needs nothing beside itself and shows that one moment."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import escape
from pathlib import Path

from fencebus_schemas import status_svg
from fencebus_schemas.status import Status
from fencebus_schemas.status_html import to_html
from fencebus_schemas.status_plain import to_plain

ASSETS = Path(__file__).parent / "assets"
VMS = '<section class="vms" aria-labelledby="vms-title">'
PICTURE = (
    ".picture{grid-column:1/-1;background:var(--card);border:1px solid var(--line);border-radius:9px}"
    ".picture summary{padding:.5rem 1rem;font-weight:650;cursor:pointer}.picture .owners{padding:0 1rem 1rem}"
)
"""It stands between hosts and VMs, closed: it may be longer than what one looks for."""


def snapshot(status: Status) -> str:
    """The page, with the picture of owners.  Where no script runs, in a mail for example, the rest is plain tables."""
    style, script, mark = (_asset(name) for name in ("page.css", "page.js", "mark.svg"))
    style += status_svg.STYLE + PICTURE
    # In a script element only `<` could end it; JSON may write it in another way.
    told = json.dumps(to_plain(status), ensure_ascii=False).replace("<", "\\u003c")
    icon = "data:image/svg+xml;base64," + base64.b64encode(mark.encode()).decode()
    pieces = {
        '<link rel="stylesheet" href="page.css">': f"<style>{style}</style>",
        '<script type="module" src="page.js"></script>': f'<script type="application/json" id="snapshot">{told}'
        f'</script>\n<script type="module">{script}</script>',
        '<meta charset="utf-8">': f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="'
        f'{escape(_policy(style, script))}">',
        "<title>fencebus</title>": f"<title>fencebus on {escape(status.host)}</title>",
        "<body>": f"<body>\n<noscript>{_tables(status)}</noscript>",
        VMS: '<details class="picture"><summary>Picture of owners</summary>'
        f"{status_svg.owners_svg(status)}</details>\n  {VMS}",
    }
    page = _asset("page.html").replace("mark.svg", icon)
    # In one pass: what is put in may hold what is looked for.
    return re.sub("|".join(map(re.escape, pieces)), lambda found: pieces[found[0]], page)


def _policy(style: str, script: str) -> str:
    """Nothing but what stands in the file."""
    return f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; base-uri 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _tables(status: Status) -> str:
    body = re.search("<body>(.*)</body>", to_html(status), re.DOTALL)
    assert body is not None
    return body[1]


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
