// Zooming and walking on the map; without this script it is a drawing with links.

const ZOOM_MAX = 8;
const map = document.querySelector("[data-map]");
const view = map?.querySelector("[data-map-window]");
if (view) start(map, view, view.querySelector("svg"));

function start(root, frame, drawing) {
  const nearer = root.querySelector("[data-zoom-in]");
  const farther = root.querySelector("[data-zoom-out]");
  const base = Number(getComputedStyle(drawing).getPropertyValue("--k")) || 1;
  let zoom = 1;

  root.querySelector("[data-zoom]").hidden = false;
  nearer.addEventListener("click", () => set(zoom * 2));
  farther.addEventListener("click", () => set(zoom / 2));
  set(1);

  // The drawing grows inside a window that scrolls by touch, wheel and keys, so nothing here has to be dragged.
  function set(wanted) {
    const next = Math.min(ZOOM_MAX, Math.max(1, wanted));
    const height = frame.clientHeight;
    const x = (frame.scrollLeft + frame.clientWidth / 2) / frame.scrollWidth;
    const y = (frame.scrollTop + height / 2) / frame.scrollHeight;
    if (next > 1 && zoom === 1) frame.style.height = `${frame.offsetHeight}px`;
    if (next === 1) frame.style.height = "";
    zoom = next;
    drawing.style.width = `${zoom * 100}%`;
    drawing.style.setProperty("--k", String(base / zoom));
    frame.scrollLeft = x * frame.scrollWidth - frame.clientWidth / 2;
    frame.scrollTop = y * frame.scrollHeight - frame.clientHeight / 2;
    // aria-disabled rather than disabled: a disabled button would drop the focus.
    nearer.setAttribute("aria-disabled", String(zoom === ZOOM_MAX));
    farther.setAttribute("aria-disabled", String(zoom === 1));
  }

  // One stop for the Tab key; arrows walk from mark to mark. Marks without links of their own have marks.js for that.
  if (drawing.querySelector("[data-marks]")) return;
  // Asked for each time: a page that keeps itself fresh draws them anew.
  const all = () => [...drawing.querySelectorAll("a")];
  const place = (mark) => {
    const box = mark.querySelector("g").getCTM();
    return [box.e, box.f];
  };
  const ahead = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  const rove = (mark) => all().forEach((other) => other.setAttribute("tabindex", other === mark ? "0" : "-1"));
  if (all().length) rove(all()[0]);
  // On the window: Chromium puts a drawing that listens to the focus itself into the Tab order.
  frame.addEventListener("focusin", (event) => event.target.closest("a") && rove(event.target.closest("a")));
  frame.addEventListener("keydown", (event) => {
    const direction = ahead[event.key];
    const from = event.target.closest("a");
    if (!direction || !from) return;
    const [x, y] = place(from);
    let best = null;
    let least = Infinity;
    for (const mark of all()) {
      const [a, b] = place(mark);
      const along = (a - x) * direction[0] + (b - y) * direction[1];
      const aside = Math.abs((a - x) * direction[1]) + Math.abs((b - y) * direction[0]);
      if (along > 0.5 && along + 2 * aside < least) {
        least = along + 2 * aside;
        best = mark;
      }
    }
    event.preventDefault();
    if (best) {
      best.focus({ preventScroll: true });
      best.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  });
}
