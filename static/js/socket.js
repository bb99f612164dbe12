import { delay } from "./backoff.js";

const TICK_MS = 5000;
const PING_MS = 10_000;
const SILENCE_MS = 25_000; // the server beats every 10 s
const OPENING_MS = 10_000;
const ANSWER_MS = 4000; // to a resync, after a sleep
const SLEEP_MS = 15_000; // timers stood still for that long: the machine slept
const WATCH_PAUSE_MS = 1500; // while scrolling: the server hangs up on 60 messages a minute

/**
 * The world outside, so that tests can bring their own.
 *
 * @typedef {object} Outside
 * @property {(url: string) => WebSocket} open
 * @property {() => number} now
 * @property {(run: () => void, ms: number) => any} later
 * @property {(timer: any) => void} cancel
 * @property {() => number} random
 * @property {() => boolean} hidden
 */

/** @type {Outside} */
const BROWSER = {
  open: (url) => new WebSocket(url),
  now: () => Date.now(),
  later: (run, ms) => setTimeout(run, ms),
  cancel: (timer) => clearTimeout(timer),
  random: Math.random,
  hidden: () => document.hidden,
};

/**
 * One connection to `/ws/tickers/` that is there again after every loss: full-jitter back-off,
 * a watchdog for silence, and a check after the machine slept. It remembers what is watched and
 * says it again on each new connection; the server answers each with a snapshot.
 */
export class FeedSocket {
  /** @type {WebSocket | null} */
  #socket = null;
  #attempt = 0;
  #heard = 0;
  #ticked = 0;
  #pinged = 0;
  #answerBy = Number.POSITIVE_INFINITY;
  /** @type {any} */
  #retry = null;
  /** @type {any} */
  #watching = null;
  /** @type {string[]} */
  #watched = [];
  #watchSent = "[]";
  /** @type {Link} */
  link;

  /**
   * @param {string} url
   * @param {{frame: (frame: Frame) => void, link: (link: Link) => void}} on
   * @param {Outside} [outside]
   */
  constructor(url, on, outside = BROWSER) {
    this.url = url;
    this.on = on;
    this.outside = outside;
    this.link = { state: "connecting", since: outside.now(), retryAt: null, latency: null };
  }

  /** Call once. From here on the socket looks after itself. */
  start() {
    this.#ticked = this.outside.now();
    this.#connect();
    this.#later();
  }

  /** The machine or the tab woke, or the network came back: be right again soon. */
  wake() {
    const now = this.outside.now();
    if (this.link.state === "waiting") {
      this.#connect();
    } else if (this.link.state === "open") {
      this.#send({ resync: true });
      this.#answerBy = Math.min(this.#answerBy, now + ANSWER_MS);
      this.outside.later(() => this.#check(), ANSWER_MS + 50);
    } else if (now - this.link.since > ANSWER_MS) {
      this.#lose(0);
    }
  }

  /** The rows on the screen, most wanted first. @param {string[]} symbols */
  watch(symbols) {
    this.#watched = symbols;
    this.#watching ??= this.outside.later(() => {
      this.#watching = null;
      this.#sendWatch();
    }, WATCH_PAUSE_MS);
  }

  #connect() {
    this.outside.cancel(this.#retry);
    this.#drop();
    const socket = this.outside.open(this.url);
    this.#socket = socket;
    this.#answerBy = Number.POSITIVE_INFINITY;
    this.#say({ state: "connecting", since: this.outside.now(), retryAt: null, latency: null });
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#lose(event.code);
  }

  #opened() {
    this.#heard = this.outside.now();
    this.#pinged = Number.NEGATIVE_INFINITY; // with the next tick: while the page is being built it would measure that
    this.#say({ state: "open", since: this.#heard, retryAt: null, latency: null });
    this.#watchSent = "[]";
    this.#sendWatch();
  }

  /** @param {string} text */
  #receive(text) {
    const now = this.outside.now();
    this.#heard = now;
    this.#answerBy = Number.POSITIVE_INFINITY;
    this.#attempt = 0;
    const frame = parsed(text);
    if (!frame) return;
    if (frame.pong !== undefined) this.#say({ ...this.link, latency: now - frame.pong });
    this.on.frame(frame);
  }

  /** @param {number} code */
  #lose(code) {
    this.#drop();
    const wait = delay(this.#attempt, code, this.outside.random);
    this.#attempt += 1;
    const now = this.outside.now();
    this.#say({ state: "waiting", since: now, retryAt: now + wait, latency: null });
    this.outside.cancel(this.#retry);
    this.#retry = this.outside.later(() => this.#connect(), wait);
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #later() {
    this.outside.later(() => {
      this.#tick();
      this.#later();
    }, TICK_MS);
  }

  #tick() {
    const now = this.outside.now();
    const slept = now - this.#ticked > SLEEP_MS && !this.outside.hidden();
    this.#ticked = now;
    if (slept) this.wake();
    else this.#check();
    if (this.link.state === "open" && now - this.#pinged >= PING_MS) {
      this.#pinged = now;
      this.#send({ ping: now });
    }
  }

  #check() {
    const now = this.outside.now();
    const silent = this.link.state === "open" && now - this.#heard > SILENCE_MS;
    const stuck = this.link.state === "connecting" && now - this.link.since > OPENING_MS;
    if (silent || stuck || now > this.#answerBy) this.#lose(0);
  }

  #sendWatch() {
    const text = JSON.stringify(this.#watched);
    if (this.link.state !== "open" || text === this.#watchSent) return;
    this.#watchSent = text;
    this.#send({ watch: this.#watched });
  }

  /** @param {object} message */
  #send(message) {
    if (this.link.state === "open") this.#socket?.send(JSON.stringify(message));
  }

  /** @param {Link} link */
  #say(link) {
    this.link = link;
    this.on.link(link);
  }
}

/** @param {string} text @returns {Frame | null} */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
