import { delay } from "../backoff.js";

const ENDED = 4401;

/**
 * The socket that says that something of one's own has changed, never what. `changed` is called
 * for each such word and after every new connection; `ended` once the session is over.
 */
export class AccountSocket {
  #attempt = 0;

  /** @param {{ changed: () => void, ended: () => void }} hear */
  constructor(hear) {
    this.hear = hear;
  }

  start() {
    const address = new URL("/ws/account/", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.onopen = () => {
      this.#attempt = 0;
      this.hear.changed();
    };
    socket.onmessage = () => this.hear.changed();
    socket.onclose = ({ code }) => {
      if (code === ENDED) this.hear.ended();
      else setTimeout(() => this.start(), delay(this.#attempt++, code, Math.random));
    };
  }
}
