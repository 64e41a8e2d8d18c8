"""All paths of the service, each a function that asks, waits and answers.

Rule: whatever goes wrong is raised; ``faults`` says what becomes of it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive

from masksmith.service import answers, body, metrics, names, pages
from masksmith.service.schema import ModelAbout, ModelNames, State
from masksmith.service.sending import Answer
from masksmith.service.work import Service

OutputName = Annotated[
    str | None,
    Query(
        description="What is answered. Without it the Accept header decides.",
        examples=["mask"],
        json_schema_extra={"enum": list(answers.NAMES)},
    ),
]
BatchOutput = Annotated[
    str,
    Query(description="What is answered for each.", examples=["mask"], json_schema_extra={"enum": list(answers.NAMES)}),
]
ModelName = Annotated[
    str | None, Query(description="A name that /v1/models lists; without it the first.", examples=["first"])
]


async def segment(request: Request, output: OutputName = None, model: ModelName = None) -> Response:
    """One picture in, one file out: a mask, outlines, figures or another output."""
    service = _service(request)
    wanted = answers.chosen(output, request.headers.get("accept", ""))
    settings, line = service.settings, service.line
    with ExitStack() as place:
        place.enter_context(line.place())
        service.models.get(model)  # a name that is wrong is told before any work
        async with body.one(request, "picture", settings.max_bytes, settings.body_s) as upload:
            work = service.segment(upload, wanted, model)
            made = await line.while_wanted(work, _gone(request.receive), settings.deadline_s)
        ((ending, content),) = made.files.items()
        headers = {"Content-Disposition": names.disposition(made.name(ending)), "Server-Timing": made.laps.header()}
        return Answer(content, line, place.pop_all(), headers, answers.media_type(ending))


async def segment_batch(request: Request, output: BatchOutput = "mask", model: ModelName = None) -> Response:
    """Several pictures in, a ZIP file out: a file for each, and errors.json for those that could not be used."""
    service = _service(request)
    wanted = answers.chosen(output, "")
    settings, line = service.settings, service.line
    with ExitStack() as place:
        place.enter_context(line.place())
        service.models.get(model)
        most_bytes = max(settings.batch_bytes, settings.max_bytes)
        async with body.many(request, "pictures", settings.batch_pictures, most_bytes, settings.body_s) as uploads:
            work = service.pack(uploads, wanted, model)
            content = await line.while_wanted(work, _gone(request.receive), settings.deadline_s * len(uploads))
        headers = {"Content-Disposition": names.disposition(f"{wanted}.zip")}
        return Answer(content, line, place.pop_all(), headers, answers.MEDIA["zip"])


async def describe(request: Request, model: ModelName = None) -> ModelAbout:
    """What a model finds, what it takes, and what can be asked for."""
    service = _service(request)
    return service.models.describe(model, service.settings)


async def models(request: Request) -> ModelNames:
    """The names of the models."""
    return ModelNames(models=_service(request).models.names)


async def live() -> State:
    """Whether the program runs."""
    return State(status="live")


async def ready(request: Request) -> Response:
    """Whether pictures are answered for: the models are loaded and warm, and the service is not leaving."""
    service = _service(request)
    status = "leaving" if service.line.is_closing else "ready" if service.models.is_ready else "loading"
    return JSONResponse(State(status=status).model_dump(), 200 if status == "ready" else 503)


async def count(request: Request) -> Response:
    """What was counted, for Prometheus."""
    return Response(_service(request).metrics.text(), media_type=metrics.CONTENT_TYPE)


async def index() -> Response:
    """The page."""
    return await page("index.html")


async def page(name: str) -> Response:
    """A file of the page."""
    content, kind = pages.read(name)
    return Response(content, headers={"Cache-Control": "no-cache"}, media_type=kind)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _gone(receive: Receive) -> None:
    """End when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
