import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { FeedSocket } from "../../static/js/socket.js";

/** The browser's WebSocket as far as it is used, driven by the test. */
class FakeWebSocket {
  /** @type {any[]} */
  sent = [];
  closed = false;
  /** @type {any} */ onopen = null;
  /** @type {any} */ onmessage = null;
  /** @type {any} */ onclose = null;

  /** @param {string} text */
  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.closed = true;
  }
}

/** A clock whose timers run when the test lets time pass. */
class World {
  now = 0;
  hidden = false;
  /** @type {FakeWebSocket[]} */
  sockets = [];
  /** @type {{at: number, run: () => void}[]} */
  timers = [];

  get newest() {
    return /** @type {FakeWebSocket} */ (this.sockets.at(-1));
  }

  outside() {
    return {
      open: () => {
        this.sockets.push(new FakeWebSocket());
        return /** @type {any} */ (this.newest);
      },
      now: () => this.now,
      later: (/** @type {() => void} */ run, /** @type {number} */ ms) => {
        const timer = { at: this.now + ms, run };
        this.timers.push(timer);
        return timer;
      },
      cancel: (/** @type {any} */ timer) => {
        this.timers = this.timers.filter((each) => each !== timer);
      },
      random: () => 0.5,
      hidden: () => this.hidden,
    };
  }

  /** @param {number} ms */
  pass(ms) {
    const until = this.now + ms;
    for (;;) {
      const [next] = this.timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.timers = this.timers.filter((each) => each !== next);
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = until;
  }

  /** Timers stand still, as in a sleeping machine. @param {number} ms */
  sleep(ms) {
    this.now += ms;
    for (const timer of this.timers) timer.at = Math.max(timer.at, this.now);
  }

  /** @param {object} frame */
  receive(frame) {
    this.newest.onmessage({ data: JSON.stringify(frame) });
  }
}

/** @type {World} */
let world;
/** @type {FeedSocket} */
let socket;
/** @type {Frame[]} */
let frames;

beforeEach(() => {
  world = new World();
  frames = [];
  socket = new FeedSocket(
    "ws://here/ws/tickers/",
    { frame: (frame) => frames.push(frame), link: () => {} },
    world.outside(),
  );
  socket.start();
});

function open() {
  world.newest.onopen();
  world.receive({ seq: 1, snapshot: true, rows: [] });
}

test("frames are handed on", () => {
  open();
  assert.equal(socket.link.state, "open");
  assert.equal(frames[0]?.snapshot, true);
});

test("a lost connection is opened again after the back-off, not before", () => {
  open();
  world.newest.onclose({ code: 1006 });
  assert.deepEqual([socket.link.state, socket.link.retryAt], ["waiting", 750]);
  world.pass(749);
  assert.equal(world.sockets.length, 1);
  world.pass(1);
  assert.equal(world.sockets.length, 2);
});

test("failures in a row wait longer, and a working connection forgives them", () => {
  for (const wait of [750, 1250, 2250]) {
    world.newest.onclose({ code: 1006 });
    assert.equal((socket.link.retryAt ?? 0) - world.now, wait);
    world.pass(wait);
  }
  open();
  world.newest.onclose({ code: 1006 });
  assert.equal((socket.link.retryAt ?? 0) - world.now, 750);
});

test("a silent connection is given up, a speaking one kept", () => {
  open();
  for (let beat = 0; beat < 6; beat++) {
    world.pass(10_000);
    world.receive({ rows: [], now: world.now });
  }
  assert.equal(world.sockets.length, 1);
  world.pass(31_000);
  assert.ok(world.sockets[0]?.closed);
  assert.ok(world.sockets.length > 1);
});

test("a connection that never opens is given up", () => {
  world.pass(16_000);
  assert.ok(world.sockets[0]?.closed);
});

test("after a sleep it asks for a fresh table, and reconnects when no answer comes", () => {
  open();
  world.sleep(3_600_000);
  world.pass(10);
  assert.deepEqual(world.newest.sent.at(-2) ?? world.newest.sent.at(-1), { resync: true });
  world.pass(6000);
  assert.ok(world.sockets[0]?.closed);
});

test("after a sleep an answer keeps the connection", () => {
  open();
  world.sleep(3_600_000);
  world.pass(10);
  world.receive({ seq: 9, snapshot: true, rows: [] });
  world.pass(6000);
  assert.equal(world.sockets.length, 1);
});

test("waking while it waits reconnects at once", () => {
  open();
  world.newest.onclose({ code: 1006 });
  socket.wake();
  assert.equal(world.sockets.length, 2);
  world.pass(10_000);
  assert.equal(socket.link.state === "connecting", true);
});

test("what is watched is said once it settled, and again on a new connection", () => {
  open();
  socket.watch(["tBTCUSD"]);
  socket.watch(["tETHUSD"]);
  world.pass(1500);
  const watches = () => world.newest.sent.filter((message) => message.watch);
  assert.deepEqual(watches(), [{ watch: ["tETHUSD"] }]);
  socket.watch(["tETHUSD"]);
  world.pass(1500);
  assert.equal(watches().length, 1);
  world.newest.onclose({ code: 1012 });
  world.pass(4000);
  world.newest.onopen();
  assert.deepEqual(watches(), [{ watch: ["tETHUSD"] }]);
});

test("the round trip is measured", () => {
  open();
  world.pass(5000);
  const ping = world.newest.sent.find((message) => message.ping !== undefined);
  world.pass(40);
  world.receive({ pong: ping.ping, now: world.now });
  assert.equal(socket.link.latency, 40);
});

test("a broken frame is dropped and the connection goes on", () => {
  open();
  world.newest.onmessage({ data: "{" });
  world.receive({ rows: [["tBTCUSD"]] });
  assert.equal(frames.length, 2);
});
