import { delay } from "../backoff.js";

const ENDED = 4401;

/**
 * The socket that says that something of one's own has changed. `changed` is called with the word
 * for it (`keys`, `orders`), and with none after every new connection; `ended` once the session is
 * over.
 */
export class AccountSocket {
  #attempt = 0;

  /** @param {{ changed: (what: string) => void, ended: () => void }} hear */
  constructor(hear) {
    this.hear = hear;
  }

  start() {
    const address = new URL("/ws/account/", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.onopen = () => {
      this.#attempt = 0;
      this.hear.changed("");
    };
    socket.onmessage = ({ data }) => this.hear.changed(word(data));
    socket.onclose = ({ code }) => {
      if (code === ENDED) this.hear.ended();
      else setTimeout(() => this.start(), delay(this.#attempt++, code, Math.random));
    };
  }
}

/** @param {string} text */
function word(text) {
  try {
    return String(JSON.parse(text).changed ?? "");
  } catch {
    return "";
  }
}
