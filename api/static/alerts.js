// Keeps the list of alerts fresh: asks for the page again, changes what differs, never moves the focus, can be paused.

const root = document.querySelector("[data-alerts-page]");
if (root) start(root);

function start(root) {
  const texts = JSON.parse(root.dataset.texts);
  const pollMs = Number(root.dataset.pollMs);
  const panel = root.querySelector("[data-live]");
  const button = root.querySelector("[data-live-pause]");
  const state = root.querySelector("[data-live-state]");
  let paused = false;
  let timer = 0;

  panel.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = texts[paused ? "live.resume" : "live.pause"];
    say(paused ? "live.paused" : "live.on");
    clearTimeout(timer);
    if (!paused) refresh();
  });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden && !paused) refresh();
  });
  timer = setTimeout(refresh, pollMs);

  function say(key) {
    if (state.textContent !== texts[key]) state.textContent = texts[key];
  }

  async function refresh() {
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (paused) return;
      show(fresh);
      say("live.on");
    } catch {
      if (!paused) say("live.lost");
    } finally {
      clearTimeout(timer);
      if (!paused && !document.hidden) timer = setTimeout(refresh, pollMs);
    }
  }

  function show(fresh) {
    for (const part of ["[data-summary]", "[data-causes-count]"]) {
      copy(document.querySelector(part), fresh.querySelector(part));
    }
    const marks = document.querySelector("[data-map-marks]");
    if (marks && !marks.contains(document.activeElement)) draw(marks, fresh.querySelector("[data-map-marks]"));
    const list = root.querySelector("[data-causes]");
    const known = new Map([...list.children].map((item) => [item.dataset.alert, item]));
    let next = list.firstElementChild;
    for (const item of [...fresh.querySelectorAll("[data-alert]")]) {
      const old = known.get(item.dataset.alert);
      if (!old) {
        list.insertBefore(document.adoptNode(item), next);
        continue;
      }
      known.delete(item.dataset.alert);
      update(old, item);
      // Who has the focus stays where it is: moving an element takes the focus away.
      if (old === next) next = next.nextElementSibling;
      else if (!old.contains(document.activeElement)) list.insertBefore(old, next);
    }
    for (const gone of known.values()) {
      if (gone.contains(document.activeElement)) gone.classList.add("gone");
      else gone.remove();
    }
    const empty = root.querySelector("[data-empty]");
    const emptyNow = fresh.querySelector("[data-empty]");
    if (empty && !emptyNow) empty.remove();
    if (!empty && emptyNow) list.before(document.adoptNode(emptyNow));
  }

  // The Tab key stops at one mark: at the one that it stopped at before, if it is still there.
  function draw(to, from) {
    if (!from || to.dataset.drawn === from.innerHTML) return;
    const first = to.dataset.drawn === undefined;
    to.dataset.drawn = from.innerHTML;
    if (first) return;
    const stop = to.querySelector("a[tabindex='0']")?.dataset.mark;
    to.replaceChildren(...[...from.childNodes].map((node) => document.importNode(node, true)));
    const marks = [...to.querySelectorAll("a")];
    const kept = marks.find((mark) => mark.dataset.mark === stop) ?? marks[0];
    for (const mark of marks) mark.setAttribute("tabindex", mark === kept ? "0" : "-1");
  }

  function update(old, item) {
    old.className = item.className;
    for (const part of item.querySelectorAll("[data-part]")) copy(old.querySelector(`[data-part=${part.dataset.part}]`), part);
  }

  // What is the same stays untouched, so that a screen reader and a selection stay where they are.
  function copy(to, from) {
    if (!to || !from) return;
    if (to.className !== from.className) to.className = from.className;
    if (to.innerHTML !== from.innerHTML) to.replaceChildren(...[...from.childNodes].map((node) => document.importNode(node, true)));
  }
}
