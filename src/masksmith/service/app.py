"""The application: which paths there are, and how /openapi.json describes them.

Rule: every path stands in one list here; nothing is loaded from another host.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from masksmith import __version__
from masksmith.service import answers, faults, routes
from masksmith.service.gate import Gate
from masksmith.service.schema import ErrorAnswer, Figures, State
from masksmith.service.work import Service

_SHORT: dict[int, str] = {
    400: "No picture, a broken one, or a parameter that does not exist",
    401: "The token is missing or wrong",
    403: "Made by a page of another host",
    404: "No such path or model",
    405: "Asked for in another way than the path is for",
    406: "Nothing that the client accepts can be answered",
    408: "The body did not arrive in time",
    413: "Too many bytes, pixels or pictures",
    415: "The bytes are no picture",
    421: "The Host header names another service",
    422: "A picture that the network is not made for",
    500: "A fault in the program",
    501: "This machine lacks a library for that output",
    503: "Too many requests wait, or the service is starting or leaving; Retry-After says when to ask again",
    504: "No answer within the deadline",
}
_COMMON = (401, 403, 421, 500)
_PICTURE = (400, 404, 406, 408, 413, 415, 422, 501, 503, 504)
_BINARY = {"type": "string", "format": "binary"}


def build(service: Service) -> FastAPI:
    """The application with all of its paths."""
    app = FastAPI(
        title="masksmith",
        version=__version__,
        description="A picture goes in, the mask of a trained U-Net comes out.",
        docs_url=None,  # both load scripts from other hosts
        redoc_url=None,
    )
    app.state.service = service
    app.add_middleware(Gate, settings=service.settings, metrics=service.metrics)
    for kind in (HTTPException, RequestValidationError):  # our own errors come to the gate, which logs faults
        app.add_exception_handler(kind, _told)
    _add_work(app)
    _add_rest(app)
    return app


def _add_work(app: FastAPI) -> None:
    app.add_api_route(
        "/v1/segment",
        routes.segment,
        methods=["POST"],
        response_class=Response,
        responses={**_answered(), **_faults(*_PICTURE)},
        openapi_extra={"requestBody": _sent("picture", _BINARY, bare=True)},
    )
    app.add_api_route(
        "/v1/segment/batch",
        routes.segment_batch,
        methods=["POST"],
        response_class=Response,
        responses={
            200: {"description": "A file for each picture", "content": {"application/zip": {"schema": _BINARY}}},
            **_faults(*_PICTURE),
        },
        openapi_extra={"requestBody": _sent("pictures", {"type": "array", "items": _BINARY}, bare=False)},
    )


def _add_rest(app: FastAPI) -> None:
    app.add_api_route("/v1/model", routes.describe, methods=["GET"], responses=_faults(404, 503))
    app.add_api_route("/v1/models", routes.models, methods=["GET"], responses=_faults())
    app.add_api_route("/health/live", routes.live, methods=["GET"])
    not_yet: dict[int | str, dict[str, Any]] = {503: {"model": State, "description": "Starting or leaving"}}
    app.add_api_route("/health/ready", routes.ready, methods=["GET"], response_model=State, responses=not_yet)
    app.add_api_route("/metrics", routes.count, methods=["GET"], response_class=Response)
    app.add_api_route("/", routes.index, methods=["GET"], include_in_schema=False)
    app.add_api_route("/page/{name}", routes.page, methods=["GET"], include_in_schema=False)


async def _told(request: Request, error: Exception) -> Response:
    return faults.response(faults.of(error, request.url.path), getattr(error, "headers", None))


def _faults(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": ErrorAnswer, "description": _SHORT[code]} for code in sorted({*codes, *_COMMON})}


def _answered() -> dict[int | str, dict[str, Any]]:
    """The content types of the outputs; figures have an example."""
    content: dict[str, Any] = {kind.partition(";")[0]: {"schema": _BINARY} for kind in answers.MEDIA.values()}
    content["application/json"] = {
        "schema": {"type": "object"},
        "example": (Figures.model_config.get("json_schema_extra") or {})["examples"][0],  # type: ignore[index]
    }
    return {200: {"description": "The output that was asked for", "content": content}}


def _sent(field: str, kind: dict[str, Any], *, bare: bool) -> dict[str, Any]:
    """What a request brings."""
    form = {"schema": {"type": "object", "required": [field], "properties": {field: kind}}}
    kinds = ("image/png", "image/jpeg", "image/tiff", "application/octet-stream") if bare else ()
    return {
        "required": True,
        "description": f'The field "{field}" of a form, as curl -F {field}=@field.png sends it'
        + (", or the bytes of the picture alone, as curl --data-binary @field.png does." if bare else "; repeat it."),
        "content": {"multipart/form-data": form, **{name: {"schema": _BINARY} for name in kinds}},
    }
