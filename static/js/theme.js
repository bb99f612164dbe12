// A classic script in the head: the theme must stand before the first paint.
(() => {
  const root = document.documentElement;
  root.classList.add("script");
  try {
    root.dataset.theme = localStorage.getItem("bfx.theme") || "dark";
    root.dataset.colours = localStorage.getItem("bfx.colours") || "green-red";
  } catch {
    // storage is forbidden: the page's own default stays
  }
})();
