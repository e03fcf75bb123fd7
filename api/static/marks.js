// The marks of a map are paths: the mark nearest to the pointer, and the one that arrow keys have walked to, become links.

const REACH_PX = 24;
const REACH_OF_A_FINGER_PX = 44;
const AHEAD = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
const CORNER = /[ML](-?[\d.]+) (-?[\d.]+)/g;
const layer = document.querySelector("[data-marks]");
if (layer) start(layer, layer.ownerSVGElement);

function start(root, drawing) {
  const groups = [...root.querySelectorAll("[data-numbers]")].map((path) => ({ path, ...path.dataset }));
  const marks = groups.flatMap(read);
  let walked = null;
  let hovered = null;
  if (!marks.length) return;
  for (const told of document.querySelectorAll("[data-tap]")) told.hidden = false;
  walked = link(marks[0], 0);

  function read(group) {
    const labels = group.labels.split("\n");
    const corners = [...group.path.getAttribute("d").matchAll(CORNER)];
    const deltas = group.numbers.split(",");
    let number = 0;
    return corners.map(([, x, y], at) => {
      number += Number(deltas[at]);
      return { number, label: labels[at] ?? "", x: Number(x), y: Number(y), group };
    });
  }

  // A ring around a mark, above all paths.
  function link(mark, tabindex) {
    const made = element("a", { class: "marker", tabindex: String(tabindex) });
    const place = element("g", { transform: `translate(${mark.x} ${mark.y})` });
    const kept = element("g", { class: "keep" });
    kept.append(element("circle", { class: "hit", r: "13" }));
    place.append(kept);
    made.append(element("title", {}), place);
    made.mark = mark;
    name(made);
    root.append(made);
    return made;
  }

  function name(made) {
    const { group, number, label } = made.mark;
    const told = group.name.replace("{label}", () => label);
    if (made.getAttribute("aria-label") === told) return;
    made.setAttribute("aria-label", told);
    made.querySelector("title").textContent = told;
    made.setAttribute("href", address(made.mark));
    made.dataset.marker = number;
  }

  function address({ group, number, label }) {
    return group.address.replace("%7Bnumber%7D", number).replace("%7Blabel%7D", () => encodeURIComponent(label));
  }

  function element(tag, attributes) {
    const made = document.createElementNS(drawing.namespaceURI, tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function nearest(event) {
    const matrix = drawing.getScreenCTM();
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    let least = (event.pointerType === "touch" ? REACH_OF_A_FINGER_PX : REACH_PX) / matrix.a;
    let best = null;
    for (const mark of marks) {
      const far = Math.hypot(mark.x - at.x, mark.y - at.y);
      if (far <= least) {
        least = far;
        best = mark;
      }
    }
    return best;
  }

  function hover(mark) {
    if (hovered?.mark === mark || (hovered && hovered === document.activeElement)) return;
    hovered?.remove();
    hovered = mark && link(mark, -1);
    drawing.classList.toggle("reached", mark !== null);
  }

  drawing.addEventListener("pointermove", (event) => event.pointerType !== "touch" && hover(nearest(event)));
  drawing.addEventListener("pointerleave", () => hover(null));
  drawing.addEventListener("click", (event) => {
    const mark = event.target.closest("a") ? null : nearest(event);
    if (mark) location.assign(address(mark));
  });

  // One stop for the Tab key; arrows walk from mark to mark.
  drawing.closest("[data-map-window]").addEventListener("keydown", (event) => {
    const direction = AHEAD[event.key];
    const from = event.target.closest("a")?.mark;
    if (!direction || !from) return;
    let best = null;
    let least = Infinity;
    for (const mark of marks) {
      const along = (mark.x - from.x) * direction[0] + (mark.y - from.y) * direction[1];
      const aside = Math.abs((mark.x - from.x) * direction[1]) + Math.abs((mark.y - from.y) * direction[0]);
      if (along > 0 && along + 2 * aside < least) {
        least = along + 2 * aside;
        best = mark;
      }
    }
    event.preventDefault();
    if (!best) return;
    const left = walked;
    walked = link(best, 0);
    walked.focus({ preventScroll: true });
    walked.scrollIntoView({ block: "nearest", inline: "nearest" });
    left.remove();
  });

  // Conditions by asset, from the script that keeps the page fresh.
  root.addEventListener("latest", ({ detail }) => {
    const drawn = new Set();
    for (const mark of marks) {
      const condition = detail.get(mark.number);
      if (condition === undefined || condition === mark.group.condition) continue;
      const next = groups.find((group) => group.kind === mark.group.kind && group.condition === condition);
      drawn.add(mark.group).add(next);
      mark.group = next;
    }
    const parts = new Map([...drawn].map((group) => [group, []]));
    for (const mark of marks) parts.get(mark.group)?.push(`${mark.x} ${mark.y}`);
    for (const [{ path }, corners] of parts) {
      path.setAttribute("d", corners.length ? `M${corners.join(path.classList.contains("dots") ? "h0M" : "L")}${path.classList.contains("dots") ? "h0" : ""}` : "");
    }
    if (!drawn.size) return;
    name(walked);
    if (hovered) name(hovered);
  });
}
