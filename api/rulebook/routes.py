"""The resources under /v1 of the rulebook: windows, overrides, own rules, and trials of what is proposed."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from api import acting, cursors, parameters, rest
from api.language import choose
from api.parameters import Text
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer
from api.rulebook import bodies, examples, failing, keeping
from api.rulebook.asking import match, tag, tagged
from api.rulebook.trials import Trials
from api.rulebook.trying import Job
from api.rulebook.wording import doubts, sentence
from api.service import Service
from api.texts import Catalogue
from kraj.store import rulebook, trials
from kraj.store.connection import Connection

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="Its number.", examples=[3])]


class Asked(parameters.Page):
    """Of which municipality."""

    municipality: Text | None = Field(None, description="Name of the owner.", examples=["olsinka-nad-mlynkou"])


class AskedWindows(Asked):
    """Which windows."""

    over: bool = Field(False, description="Also those that are over.")


def routes(service: Service, running: Trials) -> APIRouter:
    """Every route about what people keep of the rules."""
    router = APIRouter(prefix="/v1", tags=["rules"])
    _add_windows(router, service)
    _add_overrides(router, service)
    _add_own(router, service)
    _add_trials(router, service, running)
    failing.add_routes(router, service)
    return router


def _add_windows(router: APIRouter, service: Service) -> None:
    path, one = "/maintenance-windows", "/maintenance-windows/{window_id}"

    @router.get(path, responses=responses(400) | parameters.example(examples.WINDOWS))
    async def windows(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[AskedWindows, Query()], request: Request, response: Response
    ) -> bodies.WindowPage:
        """Maintenance windows that are not over, by number."""
        after = cursors.number(asked.cursor, "windows", 0)
        async with service.database.connection() as connection:
            rows = await rulebook.windows(
                connection,
                municipality=asked.municipality or None,
                ended_before=None if asked.over else service.clock(),
                after=after,
                limit=asked.limit + 1,
            )
        return rest.paged(bodies.WindowPage, rows, asked.limit, "windows", "maintenance_window_id", request, response)

    @router.get(one, responses=responses(404) | parameters.example(examples.WINDOW))
    async def window(window_id: Number, response: Response) -> bodies.Window:  # pyright: ignore[reportUnusedFunction]
        """One maintenance window, with its ETag."""
        async with service.database.connection() as connection:
            found = await _window(connection, window_id)
        tagged(response, found)
        return found

    @router.post(
        path,
        status_code=201,
        responses=responses(400, 403, 404, 413, 415, 422) | parameters.example(examples.WINDOW, 201),
        openapi_extra=exchange.documented(bodies.WindowBody, once_only=True),
        response_model=bodies.Window,
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Set a window: until it ends, nothing of the place calls anybody."""
        body, raw = await exchange.body_of(request, bodies.WindowBody)

        async def doing(connection: Connection) -> Answer:
            number = await keeping.write_window(connection, None, body, service.clock())
            return _made(await _window(connection, number), f"/v1{path}/{number}")

        return await exchange.posting(service, request, raw, doing)

    @router.put(
        one,
        responses=responses(400, 403, 404, 412, 413, 415, 428) | parameters.example(examples.WINDOW),
        openapi_extra=acting.documented(bodies.WindowBody),
    )
    async def change(  # pyright: ignore[reportUnusedFunction]
        window_id: Number, request: Request, response: Response
    ) -> bodies.Window:
        """Change a window."""
        body = await acting.json_body(request, bodies.WindowBody)
        async with service.database.connection(write=True) as connection:
            match(request, await _window(connection, window_id))
            await keeping.write_window(connection, window_id, body, service.clock())
            found = await _window(connection, window_id)
        tagged(response, found)
        return found

    @router.delete(one, status_code=204, responses=responses(403, 404, 412, 428))
    async def drop(window_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Take a window away: rules speak again at once."""
        async with service.database.connection() as connection:
            found = await _window(connection, window_id)
        match(request, found)
        await keeping.drop(service, "maintenance_window", window_id, found.municipality)
        return Response(status_code=204)


async def _window(connection: Connection, number: int) -> bodies.Window:
    row = await rulebook.window(connection, number)
    if row is None:
        raise Problem("window", 404, name=number)
    return bodies.Window.model_validate(row, from_attributes=True)


def _add_overrides(router: APIRouter, service: Service) -> None:
    path, one = "/rule-overrides", "/rule-overrides/{override_id}"

    @router.get(path, responses=responses(400) | parameters.example(examples.OVERRIDES))
    async def overrides(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[Asked, Query()], request: Request, response: Response
    ) -> bodies.OverridePage:
        """What municipalities have changed of rules, by number."""
        after = cursors.number(asked.cursor, "overrides", 0)
        async with service.database.connection() as connection:
            rows = await rulebook.overrides(
                connection, municipality=asked.municipality or None, after=after, limit=asked.limit + 1
            )
        return rest.paged(bodies.OverridePage, rows, asked.limit, "overrides", "rule_override_id", request, response)

    @router.get(one, responses=responses(404) | parameters.example(examples.OVERRIDE))
    async def override(  # pyright: ignore[reportUnusedFunction]
        override_id: Number, response: Response
    ) -> bodies.Override:
        """One override, with its ETag."""
        async with service.database.connection() as connection:
            found = await _override(connection, override_id)
        tagged(response, found)
        return found

    @router.post(
        path,
        status_code=201,
        responses=responses(400, 403, 404, 413, 415, 422) | parameters.example(examples.OVERRIDE, 201),
        openapi_extra=exchange.documented(bodies.OffBody, once_only=True),
        response_model=bodies.Override,
    )
    async def switch_off(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Switch a rule off. Other thresholds go by a trial: `POST /v1/trials`."""
        body, raw = await exchange.body_of(request, bodies.OffBody)

        async def doing(connection: Connection) -> Answer:
            number = await keeping.switch_off(connection, body, service.clock())
            return _made(await _override(connection, number), f"/v1{path}/{number}")

        return await exchange.posting(service, request, raw, doing)

    @router.delete(one, status_code=204, responses=responses(403, 404, 412, 428))
    async def drop(override_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The rule is again as the catalogue has it."""
        async with service.database.connection() as connection:
            found = await _override(connection, override_id)
        match(request, found)
        await keeping.drop(service, "rule_override", override_id, found.municipality)
        return Response(status_code=204)


async def _override(connection: Connection, number: int) -> bodies.Override:
    row = await rulebook.override(connection, number)
    if row is None:
        raise Problem("override", 404, name=number)
    return bodies.Override.model_validate(row, from_attributes=True)


def _add_own(router: APIRouter, service: Service) -> None:
    path, one = "/custom-rules", "/custom-rules/{custom_rule_id}"

    @router.get(path, responses=responses(400) | parameters.example(examples.CUSTOM_RULES))
    async def custom_rules(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[Asked, Query()], request: Request, response: Response
    ) -> bodies.CustomRulePage:
        """Municipalities' own rules, by number."""
        after = cursors.number(asked.cursor, "custom", 0)
        async with service.database.connection() as connection:
            rows = await rulebook.custom_rules(
                connection, municipality=asked.municipality or None, after=after, limit=asked.limit + 1
            )
        return rest.paged(bodies.CustomRulePage, rows, asked.limit, "custom", "custom_rule_id", request, response)

    @router.get(one, responses=responses(404) | parameters.example(examples.CUSTOM_RULE))
    async def custom_rule(  # pyright: ignore[reportUnusedFunction]
        custom_rule_id: Number, response: Response
    ) -> bodies.CustomRule:
        """One own rule, with its ETag."""
        async with service.database.connection() as connection:
            found = await _custom(connection, custom_rule_id)
        tagged(response, found)
        return found

    @router.post(
        f"{one}/off",
        responses=responses(400, 403, 404, 413, 415, 422) | parameters.example(examples.CUSTOM_RULE),
        openapi_extra=exchange.documented(bodies.EmptyBody, once_only=True),
        response_model=bodies.CustomRule,
    )
    async def off(custom_rule_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Switch an own rule off. On again it goes by a trial."""
        _, raw = await exchange.body_of(request, bodies.EmptyBody)

        async def doing(connection: Connection) -> Answer:
            found = await _custom(connection, custom_rule_id)
            await keeping.custom_off(connection, custom_rule_id, found.municipality, service.clock())
            return Answer(exchange.plain(await _custom(connection, custom_rule_id)))

        return await exchange.posting(service, request, raw, doing)

    @router.delete(one, status_code=204, responses=responses(403, 404, 412, 428))
    async def drop(custom_rule_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Take an own rule away; its alerts stay in history."""
        async with service.database.connection() as connection:
            found = await _custom(connection, custom_rule_id)
        match(request, found)
        await keeping.drop(service, "custom_rule", custom_rule_id, found.municipality)
        return Response(status_code=204)

    @router.post(
        "/rules/check",
        responses=responses(400, 413, 415) | parameters.example(examples.CHECKED),
        openapi_extra=acting.documented(bodies.TextBody),
    )
    async def check(request: Request) -> bodies.Checked:  # pyright: ignore[reportUnusedFunction]
        """Read a rule's text: its name, or the first mistake with line and column."""
        rule, wrong = keeping.wrong((await acting.json_body(request, bodies.TextBody)).text)
        return bodies.Checked(
            rule=rule and rule.name,
            mistake=wrong and bodies.MistakeText.model_validate(wrong, from_attributes=True),
        )


async def _custom(connection: Connection, number: int) -> bodies.CustomRule:
    row = await rulebook.custom_rule(connection, number)
    if row is None:
        raise Problem("number", 404, name=number)
    return bodies.CustomRule.model_validate(row, from_attributes=True)


def _add_trials(router: APIRouter, service: Service, running: Trials) -> None:
    @router.post(
        "/trials",
        status_code=202,
        responses=responses(400, 403, 404, 409, 413, 415, 422) | parameters.example(examples.TRIAL_BEGUN, 202),
        openapi_extra=exchange.documented(bodies.TrialBody, once_only=True),
        response_model=bodies.Trial,
    )
    async def propose(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Try a rule, or other thresholds, on what is stored; `Location` will have the verdict."""
        body, raw = await exchange.body_of(request, bodies.TrialBody)
        begun: list[tuple[int, Job]] = []

        async def doing(connection: Connection) -> Answer:
            number, job = await keeping.propose(connection, running, body, service.clock())
            begun.append((number, job))
            trial = _trial(await _tried(connection, number), service.texts[choose(request)])
            return Answer(exchange.plain(trial), 202, {"location": f"/v1/trials/{number}"})

        response = await exchange.posting(service, request, raw, doing)
        for number, job in begun:  # not when it is only answered again
            running.start(number, job)
        return response

    @router.get("/trials/{trial_id}", responses=responses(404) | parameters.example(examples.TRIAL))
    async def trial(trial_id: Number, request: Request, response: Response) -> bodies.Trial:  # pyright: ignore[reportUnusedFunction]
        """How far a trial is, and its verdict."""
        response.headers["vary"] = "accept-language"
        return await shown(service, trial_id, choose(request))

    @router.post(
        "/trials/{trial_id}/adopt",
        responses=responses(400, 403, 404, 409, 413, 415, 422) | parameters.example(examples.TRIAL),
        openapi_extra=exchange.documented(bodies.AdoptBody, once_only=True),
        response_model=bodies.Trial,
    )
    async def adopt(trial_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Switch on what was tried; what would tell of too much, or was tried on too little, asks for `confirm`."""
        body, raw = await exchange.body_of(request, bodies.AdoptBody)

        async def doing(connection: Connection) -> Answer:
            await keeping.adopt(connection, trial_id, service.clock(), confirm=body.confirm)
            return Answer(exchange.plain(_trial(await _tried(connection, trial_id), service.texts[choose(request)])))

        return await exchange.posting(service, request, raw, doing)


async def shown(service: Service, number: int, language: str) -> bodies.Trial:
    """A trial as the API shows it."""
    async with service.database.connection() as connection:
        row = await _tried(connection, number)
    return _trial(row, service.texts[language])


async def _tried(connection: Connection, number: int) -> trials.TrialRow:
    row = await trials.trial(connection, number)
    if row is None:
        raise Problem("trial", 404, name=number)
    return row


def _trial(row: trials.TrialRow, say: Catalogue) -> bodies.Trial:
    return bodies.Trial.model_validate(
        {
            "trial_id": row.rule_trial_id,
            "municipality": row.municipality,
            "proposal": row.proposal,
            "state": "failed" if row.lost else row.state,
            "progress": row.progress,
            "verdict": row.verdict and row.verdict | {"doubts": doubts(row.verdict)},
            "sentence": row.verdict and sentence(row.verdict, say),
            "error": say("rulebook.lost") if row.lost else row.error,
            "who": row.who,
            "asked_at": row.asked_at,
            "adopted_at": row.adopted_at,
        }
    )


def _made(found: BaseModel, location: str) -> Answer:
    return Answer(exchange.plain(found), 201, {"etag": tag(found), "location": location})
