"""A Blockbook with the paging rules of the real one, answering through `responses`."""

import hashlib
import json
import re
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.upstream.payloads import payload

BASE = "https://blockbook.example/api/v2"
ADDRESS = "t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX"


def txid_of(number):
    return hashlib.sha256(f"tx {number}".encode()).hexdigest()


def hash_of(height):
    return hashlib.sha256(f"block {height}".encode()).hexdigest()


class FakeBlockbook:
    """Holds the transactions of one address. `mischief(answer, query)` may spoil an answer."""

    def __init__(self, most=1000):
        self.most = most
        self.rows = []
        self.queries = []
        self.mischief = None
        self._template = payload("blockbook/tx_app_payment")

    def pay(self, height, count=1):
        for _ in range(count):
            txid = txid_of(len(self.rows))
            row = self._template | {"txid": txid, "blockHeight": height, "blockHash": hash_of(height)}
            self.rows.append(row)
        return [row["txid"] for row in self.rows[-count:]]

    def register(self, web):
        web.add_callback("GET", re.compile(re.escape(f"{BASE}/address/")), self._address)

    @property
    def txids(self):
        return {row["txid"] for row in self.rows}

    def _address(self, request):
        query = {key: values[0] for key, values in parse_qs(urlsplit(request.url).query).items()}
        self.queries.append(query)
        answer = self._answer(query)
        if self.mischief is None:
            return 200, {}, orjson.dumps(answer)
        spoiled = self.mischief(orjson.loads(orjson.dumps(answer)), query)
        if isinstance(spoiled, Exception):
            raise spoiled
        return spoiled if isinstance(spoiled, tuple) else (200, {}, json.dumps(spoiled))

    def _answer(self, query):
        answer = {"address": ADDRESS, "balance": "0", "unconfirmedTxs": 0, "txs": len(self.rows)}
        if query["details"] == "basic":
            return answer
        low, high = int(query["from"]), int(query["to"])
        rows = [row for row in reversed(self.rows) if low <= row["blockHeight"] <= high]
        rows.sort(key=lambda row: -row["blockHeight"])
        size = min(int(query["pageSize"]), self.most)
        last = max(1, -(-len(rows) // size))
        page = min(int(query["page"]), last)  # past the end the last page comes again
        shown = rows[(page - 1) * size : page * size]
        answer |= {"page": page, "itemsOnPage": size, "totalPages": -1 if len(shown) == size else last}
        if shown and query["details"] == "txs":
            answer["transactions"] = shown
        if shown and query["details"] == "txids":
            answer["txids"] = [row["txid"] for row in shown]
        return answer
