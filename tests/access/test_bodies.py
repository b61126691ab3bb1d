"""No body is larger than its path needs, and none is ever written to the disk."""

import tempfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, RequestFactory

from fluxtracker.web.middleware import BodyLimit

KIB = 2**10
OVER = 64 * KIB + 1


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    """A temporary file fails the test."""

    def fail(*args, **options):
        raise AssertionError("a body was written to the disk")

    for name in ("NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, fail)
    monkeypatch.setattr("django.core.files.uploadedfile.tempfile.NamedTemporaryFile", fail)


class Unread:
    """A body that must not be read."""

    def read(self, *args):
        raise AssertionError("the body was read")

    readline = __iter__ = read


def told(path, method="POST", **headers):
    """The answer to a request whose body is announced only."""
    return Client().generic(method, path, b"", **{"wsgi.input": Unread()} | headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/admin/login/", "/admin/auth/user/add/", "/panels/feeds/", "/nothing-here"])
def test_a_body_over_64_kib_gets_a_page_with_413_before_it_is_read(path, method):
    answer = told(path, method, CONTENT_LENGTH=str(OVER), CONTENT_TYPE="multipart/form-data; boundary=x")
    assert answer.status_code == 413
    assert answer["Content-Type"].startswith("text/html")
    assert b"at most 65536 bytes" in answer.content
    assert "default-src 'none'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/api/admin/revenue-sync", "/api/stats", "/api/nope", "/api/health"])
def test_one_of_the_api_over_1_mib_gets_it_as_json(path):
    answer = told(path, CONTENT_LENGTH="1500000000", CONTENT_TYPE="application/json")
    assert answer.status_code == 413
    assert answer.json() == {"error": "the body is too large; expected at most 1048576 bytes here"}


@pytest.mark.parametrize("path", ["/api/admin/backfill", "/admin/login/", "/export/payments.csv"])
def test_a_body_of_unknown_length_is_refused_and_not_taken_for_an_empty_one(path):
    answer = told(path, HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="")
    assert answer.status_code == 411
    assert b"bytes" in answer.content


@pytest.mark.django_db
@pytest.mark.usefixtures("plain_static_files")
def test_a_form_of_64_kib_is_read(client):
    form = {"username": "alice", "password": "x" * (63 * KIB)}
    assert client.post("/admin/login/", form).status_code == 200


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/auth/user/add/"])
@pytest.mark.django_db
@pytest.mark.usefixtures("plain_static_files")
def test_a_file_is_never_taken(path):
    client = Client(enforce_csrf_checks=True)
    form = {"username": "alice", "password": "x", "file": SimpleUploadedFile("x.bin", b"x" * KIB)}
    assert client.post(path, form).status_code == 403
    client.cookies["csrftoken"] = "a" * 32  # now the token is looked for in the body
    assert client.post(path, form).status_code == 400


@pytest.mark.django_db
def test_nor_by_the_api(post, sent, token_client):
    form = {"file": SimpleUploadedFile("x.bin", b"x" * KIB)}
    answer = token_client.post("/api/admin/prune?wait=0", form)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/json"
    assert sent == []


@pytest.mark.django_db
@pytest.mark.usefixtures("plain_static_files")
def test_a_form_of_thousands_of_fields_is_refused(client):
    many, kind = "&".join(f"a{n}=" for n in range(2_000)), "application/x-www-form-urlencoded"
    assert client.post("/admin/login/", many, content_type=kind).status_code == 400
    parts = "".join(f'--x\r\nContent-Disposition: form-data; name="a{n}"\r\n\r\n\r\n' for n in range(1_100))
    kind = "multipart/form-data; boundary=x"
    assert client.post("/admin/login/", f"{parts}--x--\r\n"[:65_000], content_type=kind).status_code == 400


@pytest.mark.parametrize("length", ["", "0", None])
def test_a_request_without_a_body_passes(length):
    request = RequestFactory().get("/")
    request.META.update({} if length is None else {"CONTENT_LENGTH": length})
    assert BodyLimit(lambda request: "passed")(request) == "passed"
