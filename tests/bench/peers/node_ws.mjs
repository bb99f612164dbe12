// Node `ws`, as its documentation broadcasts: the same ticks, rows and conflation as ticks.py.
import { createRequire } from "node:module";
import { connect } from "node:net";
import { parseArgs } from "node:util";

// The package lies in the cache folder, not in the checkout.
const require = createRequire(`${process.env.BENCH_NODE_DIR}/`);
const { WebSocketServer, WebSocket } = require("ws");

const { values } = parseArgs({
  options: {
    port: { type: "string" },
    feed: { type: "string" },
    "flush-ms": { type: "string", default: "0" },
  },
});
const flushMs = Number(values["flush-ms"]);
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(values.port),
  perMessageDeflate: false,
  backlog: 2048,
});

function rowOf(line) {
  const [channel, t] = JSON.parse(line);
  const symbol = `tB${String(channel).padStart(4, "0")}USD`;
  const row = [symbol, t[6], t[0], t[2], t[4], t[5], t[7], t[8], t[9], Date.now(), 1];
  return [channel, JSON.stringify(row)];
}

function send(rows) {
  const data = Buffer.from(`{"rows":[${rows.join(",")}]}`);
  for (const client of server.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(data, { binary: false });
  }
}

let dirty = new Map();
let waiting = false;

function flush() {
  waiting = dirty.size > 0;
  if (!waiting) return;
  setTimeout(flush, flushMs);
  const rows = [...dirty.values()];
  dirty = new Map();
  send(rows);
}

function take(lines) {
  if (!flushMs) {
    for (const line of lines) send([rowOf(line)[1]]);
    return;
  }
  for (const line of lines) {
    const [channel, row] = rowOf(line);
    dirty.set(channel, row);
  }
  if (!waiting) flush();
}

function readTicks() {
  let rest = "";
  const feed = connect(Number(values.feed), "127.0.0.1");
  feed.setEncoding("utf8");
  feed.on("data", (data) => {
    const lines = (rest + data).split("\n");
    rest = lines.pop();
    if (lines.length) take(lines);
  });
  feed.on("error", () => {});
  feed.on("close", () => setTimeout(readTicks, 50));
}

readTicks();
