"""A program that asks for every URL in every way (`--few`: in two) and prints what came: its database is away."""

from __future__ import annotations

import json
import sys
from typing import Any

import django
from django.test import Client

SESSION = "sessionid=abcdefghijklmnopqrstuvwxyz012345; csrftoken=abcdefghijklmnopqrstuvwxyzABCDEF"
WAYS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "a stranger": (("get", "head", "post", "options"), {}),
    "a session": (("get", "post"), {"HTTP_COOKIE": SESSION}),
    "a condition": (("get",), {"HTTP_IF_NONE_MATCH": "*", "HTTP_AUTHORIZATION": "Token abcdefgh"}),
}
FEW_WAYS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {"a stranger": (("get", "head"), {})}


def main() -> None:
    from tests.access.test_every_url import ALL

    client = Client(raise_request_exception=False, HTTP_HOST="localhost")
    found = []
    for url in sorted({url for _, _, url in ALL}):
        for way, (methods, headers) in (FEW_WAYS if "--few" in sys.argv else WAYS).items():
            for method in methods:
                response = getattr(client, method)(url, **headers)
                content = b"".join(response.streaming_content) if response.streaming else response.content
                response.close()
                kind = response.headers.get("Content-Type", "")
                words = json.loads(content) if content and "json" in kind and "openapi" not in kind else None
                found.append([url, way, method, response.status_code, kind, words])
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    django.setup()
    main()
