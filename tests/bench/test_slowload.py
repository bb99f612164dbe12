import pytest

from tests.bench.peers.ticks import row_of, symbol_of
from tests.bench.slowload import ROW, STAMP_BASE, Load, parse, summary


@pytest.fixture
async def load():
    made = Load(parse(["clients=2", "symbols=3", "slow=1", "paces=8000"]))
    yield made
    for client in made.clients:
        client.socket.close()


def rows(*stamps):
    return b'{"rows":[%s]}' % b",".join(b'["tB0001USD",1.5,%d,2]' % stamp for stamp in stamps)


def test_arguments_are_names_with_values():
    assert parse(["clients=7", "origin=http://a"])["clients"] == 7
    with pytest.raises(SystemExit, match="colour"):
        parse(["colour=red"])


def test_percentiles_of_nothing_are_zero():
    assert summary([]) == {"n": 0, "p50": 0.0, "p90": 0.0, "p99": 0.0, "max": 0.0}
    assert summary([3.0, 1.0, 2.0])["p50"] == 2.0


async def test_a_tick_comes_back_as_a_row_with_its_stamp(load):
    _, row = row_of(load._tick())
    assert ROW.findall(row) == [(b"0000", str(load.sent[0]).encode())]
    assert symbol_of(0).encode() in row


async def test_an_older_row_after_a_newer_one_is_counted_and_not_taken(load):
    client = load.clients[1]
    load.take_text(client, rows(STAMP_BASE + 5, STAMP_BASE + 4, STAMP_BASE + 5))
    assert client.seen == [0, STAMP_BASE + 5, 0]
    assert (load.counts["backwards"], load.counts["repeats"]) == (1, 1)


@pytest.mark.parametrize("text", [b'{"rows":[["tB0001USD",1.5,2]]}', b'{"rows":[', b"rows"])
async def test_a_row_without_its_stamp_or_a_cut_message_is_malformed(load, text):
    load.take_text(load.clients[1], text)
    assert load.counts["malformed"] == 1


async def test_clients_are_slow_first_and_then_fast(load):
    assert [client.kind.name for client in load.clients] == ["SLOW", "FAST"]
