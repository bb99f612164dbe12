import assert from "node:assert/strict";
import { test } from "node:test";
import { pageState } from "../../static/js/page_state.js";

const NEVER = Number.POSITIVE_INFINITY;

/** @param {Partial<FeedStatus>} [facts] @returns {FeedStatus} */
const feed = (facts) => ({
  state: "live",
  since: 0,
  at: 0,
  retry_at: null,
  reason: "",
  sockets: 12,
  wanted: 12,
  ...facts,
});

/** @param {Partial<Link>} [facts] @returns {Link} */
const link = (facts) => ({ state: "open", since: 0, retryAt: null, latency: null, ...facts });

test("all is well: the page is live and says nothing", () => {
  assert.deepEqual(pageState(feed(), link(), 0, 0, NEVER, 1), {
    state: "live",
    notice: "",
    allStale: false,
  });
});

test("before the feed has spoken the page is connecting", () => {
  assert.equal(pageState(null, link(), 0, 0, NEVER, 1).state, "connecting");
});

test("an unreachable exchange is named, with the seconds to the next try by the server's clock", () => {
  const status = feed({
    state: "offline",
    reason: "cannot reach Bitfinex",
    retry_at: 21_500,
    sockets: 0,
  });
  const page = pageState(status, link(), 0, 10_000, NEVER, 1);
  assert.match(page.notice, /cannot reach Bitfinex, next try in 12 s\./);
  assert.deepEqual([page.state, page.allStale], ["offline", true]);
});

test("a feed that lost some sockets leaves the rows of the others as they are", () => {
  const page = pageState(feed({ state: "stale", sockets: 3 }), link(), 0, 0, NEVER, 1);
  assert.deepEqual([page.state, page.allStale], ["stale", false]);
});

test("a short loss of our own connection is not worth a word", () => {
  const waiting = link({ state: "waiting", retryAt: 1000 });
  assert.equal(pageState(feed(), waiting, 1500, 0, 0, 1).state, "live");
});

test("without a connection to this server nothing is live, whatever the feed said last", () => {
  const waiting = link({ state: "waiting", retryAt: 9000 });
  const page = pageState(feed(), waiting, 5000, 0, 0, 1);
  assert.deepEqual([page.state, page.allStale], ["offline", true]);
  assert.match(page.notice, /no connection to this dashboard, next try in 4 s\./);
});

test("connecting counts its connections", () => {
  const page = pageState(
    feed({ state: "connecting", sockets: 7, wanted: 13 }),
    link(),
    0,
    0,
    NEVER,
    1,
  );
  assert.equal(page.notice, "Connecting to Bitfinex, 7 of 13 connections…");
});

test("a page without rows says nothing of values", () => {
  const offline = feed({ state: "offline", reason: "cannot reach Bitfinex" });
  const waiting = link({ state: "waiting", retryAt: 9000 });
  assert.equal(
    pageState(offline, link(), 0, 0, NEVER, 0).notice,
    "Offline: cannot reach Bitfinex.",
  );
  assert.equal(
    pageState(feed(), waiting, 5000, 0, 0, 0).notice,
    "Offline: no connection to this dashboard, next try in 4 s.",
  );
});

test("a page with rows says how old its values are", () => {
  assert.equal(
    pageState(feed({ state: "stale" }), link(), 0, 0, NEVER, 1).notice,
    "Stale: prices have stopped. The values below are the last known ones.",
  );
});
