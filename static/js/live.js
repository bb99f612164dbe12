import { FeedSocket } from "./socket.js";
import { Store } from "./store.js";

/** The one store of this page, and the one connection that fills it. */
export const store = new Store();

const address = new URL("/ws/tickers/", location.href);
address.protocol = address.protocol.replace("http", "ws");

export const socket = new FeedSocket(address.href, {
  frame: (frame) => store.apply(frame, Date.now()),
  link: (link) => store.setLink(link),
});

/** Connect, and stay awake to everything that says that time has passed. */
export function goLive() {
  socket.start();
  let hiddenAt = 0;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hiddenAt = Date.now();
    else if (Date.now() - hiddenAt > 5000) socket.wake();
  });
  window.addEventListener("online", () => socket.wake());
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) socket.wake();
  });
}
