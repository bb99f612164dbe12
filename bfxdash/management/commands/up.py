"""Everything for one machine, in one process; the sandbox exchange is a child beside it."""

import asyncio
import sys
from argparse import ArgumentParser
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from http.client import HTTPConnection
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings
from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from accounts import key_versions, upkeep
from accounts.invitations import setup_link
from bfxdash.checks import is_loopback
from bfxdash.health import count_feed
from bfxdash.launch import add_up_options
from bfxdash.sandbox_child import SandboxChild, SandboxDied
from bfxdash.server import Task, serve
from market.background import drain_at_the_end
from market.conf import exchange
from market.feed.runner import Feed
from market.resolver import settle_for_ever

ANSWER_SECONDS = 30
SERVER_ERROR = 500
ANY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104  compared, not bound


class Command(BaseCommand):
    help = "Set up and run everything on this machine: pages, live feed, and a sandbox exchange."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_up_options(parser)

    def execute(self, *args: Any, **options: Any) -> str | None:
        key_versions.make_first()  # the checks, which come next, ask for it
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        with ExitStack() as ending:
            sandbox = None
            if not options["no_sandbox"]:
                state = settings.BFX_DATA_DIR / "sandbox"
                sandbox = SandboxChild(options["sandbox_port"], state, options["replay"])
                ending.callback(sandbox.stop)
            prepare_site()
            self.check(tags=[Tags.database], databases=["default"])  # does the master key fit?
            upkeep.begin()
            try:
                sys.exit(self.serve(options["host"], options["port"], sandbox))
            except SandboxDied as error:
                raise CommandError(str(error)) from error

    def serve(self, host: str, port: int, sandbox: SandboxChild | None) -> int:
        tasks: list[Task] = [run_feed, *upkeep.tasks(), settle_for_ever, drain_at_the_end]
        if sandbox:
            sandbox.wait_ready()
            tasks.append(sandbox.watch)
        name = "localhost" if host in ANY_ADDRESS or is_loopback(host) else host
        announcing: set[asyncio.Task[None]] = set()

        def announce(_: int) -> None:
            loop = asyncio.get_event_loop()
            announcing.add(loop.create_task(self.announce(name, port, describe(sandbox))))

        return serve(host, port, tasks=tasks, on_listening=announce)

    async def announce(self, name: str, port: int, mode: str) -> None:
        """Not before a page really comes."""
        try:
            status = await asyncio.to_thread(ask, name, port)
            setup = await asyncio.to_thread(setup_line, f"http://{name}:{port}")
        except OSError as error:
            self.stderr.write(f"no page comes from http://{name}:{port}: {error}")
        else:
            where = f"\n  bfxdash   http://{name}:{port}\n  mode      {mode}\n"
            ready = f"{where}{setup}  stop with Ctrl-C\n"
            self.stdout.write(ready if status < SERVER_ERROR else f"every page fails: {status}")
            self.stdout.flush()


def ask(name: str, port: int) -> int:
    """The HTTP status of a page of ours."""
    connection = HTTPConnection(name, port, timeout=ANSWER_SECONDS)
    connection.request("GET", "/healthz")
    return connection.getresponse().status


def setup_line(origin: str) -> str:
    """The one-time link for the first account, while there is none."""
    try:
        link = setup_link(origin)
    finally:
        connection.close()  # this thread is not one of a web request
    return f"  set up    {link}\n" if link else ""


def prepare_site() -> None:
    call_command("migrate", verbosity=0, interactive=False)
    call_command("createcachetable", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)


async def run_feed() -> None:
    feed = Feed(exchange(), get_channel_layer(), settings.BFX_FEED_RANGES)
    count_feed(partial(asdict, feed.counters))
    await feed.run()


def describe(sandbox: SandboxChild | None) -> str:
    if settings.BFX_EXCHANGE == "live":
        return f"LIVE, the real exchange at {settings.BFX_PUBLIC_REST_URL}"
    if sandbox and sandbox.replay:
        return f"REPLAY of {sandbox.replay} on a sandbox exchange"
    where = sandbox.address if sandbox else settings.BFX_PUBLIC_REST_URL
    return f"SANDBOX, made-up prices from {where}"
