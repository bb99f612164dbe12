"""Replies as aiohttp sends them: whole, spoiled, or as JSON of the control port."""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from market.sandbox import rest
from market.sandbox.connection import reset
from market.sandbox.rest_faults import Spoiled


def json_reply(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


def response(reply: rest.Reply) -> web.Response:
    return web.Response(
        text=reply.body, status=reply.status, content_type=reply.content_type, charset="utf-8"
    )


async def send(request: web.Request, spoiled: Spoiled) -> web.StreamResponse:
    """A reply as the faults left it: late, cut off after half, or not sent at all."""
    if spoiled.wait:
        await asyncio.sleep(spoiled.wait)
    if spoiled.lost:
        reset(request.transport)
        return web.Response()
    return await _cut(request, spoiled.reply) if spoiled.cut else response(spoiled.reply)


async def _cut(request: web.Request, reply: rest.Reply) -> web.StreamResponse:
    """Promise the whole body, send half of it, and break the connection."""
    body = reply.body.encode()
    begun = web.StreamResponse(status=reply.status)
    begun.content_type = reply.content_type
    begun.content_length = len(body)
    await begun.prepare(request)
    await begun.write(body[: len(body) // 2])
    reset(request.transport)
    return begun
