"""The paths, their description, the page, and what there is before the models are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from masksmith.classes import default_color
from masksmith.errors import InputError
from masksmith.service import names, page
from masksmith.service.app import build
from masksmith.service.metrics import Metrics
from masksmith.service.models import Models
from masksmith.service.queue import Line
from masksmith.service.settings import Settings
from masksmith.service.work import Service
from service.serving import Serving, encoded, picture

# Grows by a deliberate edit here and a line in CHANGELOG.md.
PATHS = {
    "/v1/segment": ["post"],
    "/v1/segment/batch": ["post"],
    "/v1/model": ["get"],
    "/v1/models": ["get"],
    "/health/live": ["get"],
    "/health/ready": ["get"],
    "/metrics": ["get"],
}


def test_the_paths_are_described_with_examples(serving: Serving) -> None:
    described = serving.get("/openapi.json").json()
    assert {path: list(kinds) for path, kinds in described["paths"].items()} == PATHS
    for path, kinds in described["paths"].items():
        for kind in kinds.values():
            assert kind["description"], path
    asked = described["paths"]["/v1/segment"]["post"]
    assert {"multipart/form-data", "image/png"} <= set(asked["requestBody"]["content"])
    assert {"200", "400", "413", "415", "422", "503", "504"} <= set(asked["responses"])
    assert asked["responses"]["200"]["content"]["application/json"]["example"]["classes"]
    for name in ("ErrorAnswer", "ModelAbout", "ModelNames", "State"):
        assert described["components"]["schemas"][name]["examples"], name
    assert not re.search(r"https?://", json.dumps(described))


def test_the_page(serving: Serving) -> None:
    answer = serving.get("/")
    assert answer.headers["content-type"] == page.FILES["index.html"]
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    for name, kind in page.FILES.items():
        found = serving.get(f"/page/{name}")
        assert (found.status_code, found.headers["content-type"]) == (200, kind)


def test_the_id_of_a_request_comes_back(serving: Serving) -> None:
    assert serving.get("/health/live", headers={"X-Request-Id": "a.1"}).headers["x-request-id"] == "a.1"
    assert re.fullmatch("[0-9a-f]{32}", serving.get("/", headers={"X-Request-Id": "<b>"}).headers["x-request-id"])


def test_models_are_known_by_name(serving: Serving, run: Path, layered: Path) -> None:
    assert serving.lines == [f"masksmith serves first, layered on {serving.server.url}"]
    assert serving.get("/v1/models").json() == {"models": ["first", "layered"]}
    assert serving.get("/v1/model").json()["name"] == "first"
    about = serving.get("/v1/model?model=layered").json()
    assert (about["channels"], about["dtype"], about["runtime"], len(about["classes"])) == (3, "uint8", "torch", 10)
    assert [tuple(one["tint"]) for one in about["classes"]] == [default_color(k) for k in range(10)]
    with pytest.raises(InputError, match="twice"):
        Models([run, run / "model.safetensors"])


def test_before_the_models_are_loaded(run: Path) -> None:
    line, models = Line(1), Models([run])
    service = Service(Settings(runtime="torch", device="cpu"), models, line, Metrics(line))
    client = TestClient(build(service), base_url="http://localhost")
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 503
    answer = client.post("/v1/segment", content=encoded(picture()))
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    models.load(service.settings, line.lanes)
    assert client.get("/health/ready").json() == {"status": "ready"}
    line.shutdown()
    with pytest.raises(RuntimeError):
        line.first(lambda: None)


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("a.png", "a.png"),
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\Users\\x\\a b.tif", "a b.tif"),
        ("<b>&'\".png", "_b_&'_.png"),
        ("scan.nii.gz", "scan.nii.gz"),
        ("Häuser-東京.jpg", "Häuser-東京.jpg"),
        ("a\r\nb\x00.png", "a__b_.png"),
        ("..", "picture.png"),
        ("x/", "picture.png"),
        (None, "picture.png"),
        ("...hidden.png", "hidden.png"),
        ("ä" * 300 + ".png", "ä" * 60 + ".png"),
    ],
)
def test_a_name_becomes_a_safe_one(given: str | None, known: str) -> None:
    assert names.safe(given, ".png") == known
    header = names.disposition(names.result(known, "mask.png"))
    assert header.isascii()
    assert re.fullmatch(r"attachment; filename=\"[A-Za-z0-9._ -]+\"; filename\*=UTF-8''[A-Za-z0-9._%~-]+", header)
