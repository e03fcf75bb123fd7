// Chooses a place on a map by a click or by keys; without this script the coordinates are written.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [640, 400];
const METRES_PER_DEGREE = 111320;
const [NEAREST, FARTHEST] = [0.1, 1000]; // metres a unit of the drawing
const [STEP, LEAP] = [8, 64];
const NAMES_MAX = 40;
const COUNTRY = { latitude: 49.8, longitude: 15.5, scale: 800 };

const root = document.querySelector("[data-point]");
if (root) start(root, root.querySelector("svg"), root.closest("[data-place]"));

function start(map, drawing, fields) {
  const latitude = fields.querySelector("#latitude");
  const longitude = fields.querySelector("#longitude");
  const town = document.querySelector("#municipality");
  const said = map.querySelector("[data-point-said]");
  let view = { ...COUNTRY };
  let cross = { x: WIDTH / 2, y: HEIGHT / 2 };
  let known = { assets: [], towns: [] };

  map.hidden = false;
  town.addEventListener("change", load);
  for (const field of [latitude, longitude]) field.addEventListener("change", () => written() && centre());
  map.querySelector("[data-nearer]").addEventListener("click", () => zoom(0.5));
  map.querySelector("[data-farther]").addEventListener("click", () => zoom(2));
  drawing.addEventListener("click", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
    cross = { x: point.x, y: point.y };
    choose();
  });
  drawing.addEventListener("keydown", key);
  load();

  async function load() {
    try {
      const answer = await fetch(`/registry/places?municipality=${encodeURIComponent(town.value)}`);
      if (answer.ok) known = await answer.json();
    } catch {
      known = { assets: [], towns: [] }; // the map is empty, and still one can point
    }
    if (written()) centre();
    else around();
    draw();
    map.dataset.ready = town.value;
  }

  function written() {
    const [a, b] = [latitude, longitude].map((field) => Number.parseFloat(field.value.replace(",", ".")));
    return Number.isFinite(a) && Number.isFinite(b) ? { latitude: a, longitude: b } : null;
  }

  // Everything known in view; a single thing with its surroundings.
  function around() {
    const places = [...known.assets.map(([, , a, b]) => [a, b]), ...known.towns.map(([, a, b]) => [a, b])];
    if (!places.length) view = { ...COUNTRY };
    else {
      const [low, high] = [0, 1].map((i) => places.map((p) => p[i])).map((all) => [Math.min(...all), Math.max(...all)]);
      view.latitude = (low[0] + low[1]) / 2;
      view.longitude = (high[0] + high[1]) / 2;
      const wide = ((high[1] - high[0]) * east()) / (WIDTH - 80);
      const tall = ((low[1] - low[0]) * METRES_PER_DEGREE) / (HEIGHT - 80);
      view.scale = Math.min(FARTHEST, Math.max(0.5, wide, tall));
    }
    cross = { x: WIDTH / 2, y: HEIGHT / 2 };
  }

  function centre() {
    const place = written();
    view = { ...place, scale: Math.min(view.scale, 2) };
    cross = { x: WIDTH / 2, y: HEIGHT / 2 };
    draw();
  }

  function east() {
    return METRES_PER_DEGREE * Math.cos((view.latitude * Math.PI) / 180);
  }

  function put(a, b) {
    return {
      x: WIDTH / 2 + ((b - view.longitude) * east()) / view.scale,
      y: HEIGHT / 2 - ((a - view.latitude) * METRES_PER_DEGREE) / view.scale,
    };
  }

  function under({ x, y }) {
    return {
      latitude: view.latitude - ((y - HEIGHT / 2) * view.scale) / METRES_PER_DEGREE,
      longitude: view.longitude + ((x - WIDTH / 2) * view.scale) / east(),
    };
  }

  function zoom(factor) {
    const place = under(cross);
    view = { ...place, scale: Math.min(FARTHEST, Math.max(NEAREST, view.scale * factor)) };
    cross = { x: WIDTH / 2, y: HEIGHT / 2 };
    draw();
  }

  function key(event) {
    const by = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (by) {
      const step = event.shiftKey ? LEAP : STEP;
      cross = { x: cross.x + by[0] * step, y: cross.y + by[1] * step };
      const inside = cross.x > 20 && cross.x < WIDTH - 20 && cross.y > 20 && cross.y < HEIGHT - 20;
      if (!inside) zoom(1);
      tell("at");
      draw();
    } else if (event.key === "Enter" || event.key === " ") choose();
    else if (event.key === "+") zoom(0.5);
    else if (event.key === "-") zoom(2);
    else return;
    event.preventDefault();
  }

  function choose() {
    const place = under(cross);
    latitude.value = place.latitude.toFixed(6);
    longitude.value = place.longitude.toFixed(6);
    tell("chosen");
    draw();
  }

  function tell(what) {
    const place = under(cross);
    said.textContent = map.dataset[what].replace("[place]", `${place.latitude.toFixed(6)}, ${place.longitude.toFixed(6)}`);
  }

  function draw() {
    drawing.replaceChildren();
    const shown = known.assets.map(([label, kind, a, b]) => ({ label, kind, ...put(a, b) })).filter(inView);
    const towns = known.towns.map(([label, a, b]) => ({ label, ...put(a, b) })).filter(inView);
    for (const one of [...shown, ...towns]) {
      const dot = add("circle", { class: "known", cx: one.x, cy: one.y, r: one.kind ? 4 : 6 });
      add("title", {}, dot).textContent = one.label;
    }
    const named = [];
    for (const one of [...towns, ...shown]) {
      const free = named.every((other) => Math.abs(other.y - one.y) > 15 || Math.abs(other.x - one.x) > 90);
      if (named.length === NAMES_MAX || !free) continue;
      named.push(one);
      add("text", { x: one.x + 8, y: one.y + 4 }).textContent = one.label;
    }
    const length = nice(140 * view.scale);
    add("path", { class: "scale", d: `M16 ${HEIGHT - 16}v-5m0 5h${length / view.scale}m0 0v-5` });
    add("text", { x: 16, y: HEIGHT - 26 }).textContent =
      length >= 1000 ? `${length / 1000} ${map.dataset.km}` : `${length} ${map.dataset.m}`;
    const place = written();
    if (place) {
      const { x, y } = put(place.latitude, place.longitude);
      add("circle", { class: "chosen", cx: x, cy: y, r: 7 });
    }
    add("path", { class: "cross", d: `M${cross.x - 14} ${cross.y}h28M${cross.x} ${cross.y - 14}v28` });
  }

  function inView({ x, y }) {
    return x > 0 && x < WIDTH && y > 0 && y < HEIGHT;
  }

  function add(name, attributes, parent = drawing) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    parent.append(made);
    return made;
  }
}

function nice(length) {
  const power = 10 ** Math.floor(Math.log10(length));
  return Math.max(...[1, 2, 5].map((step) => step * power).filter((step) => step <= length));
}
