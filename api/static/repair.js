// Follows a repair before one's eyes: asks for this part of the work order again, changes what differs, can be paused.

const root = document.querySelector("[data-follow]");
const part = () => document.querySelector("[data-repair]");
if (root && part()?.dataset.over === "false") start();

function start() {
  const texts = JSON.parse(root.dataset.texts);
  const pollMs = Number(root.dataset.pollMs);
  const button = root.querySelector("[data-live-pause]");
  const state = root.querySelector("[data-live-state]");
  let paused = false;
  let timer = setTimeout(refresh, pollMs);

  root.querySelector("[data-live]").hidden = false;
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

  function say(key) {
    if (state.textContent !== texts[key]) state.textContent = texts[key];
  }

  async function refresh() {
    let over = false;
    try {
      const answer = await fetch(part().dataset.repair, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-repair]");
      if (paused || !fresh) return;
      over = fresh.dataset.over === "true";
      show(fresh);
      say(over ? "crew.follow_over" : "live.on");
    } catch {
      if (!paused) say("live.lost");
    } finally {
      clearTimeout(timer);
      if (!paused && !over && !document.hidden) timer = setTimeout(refresh, pollMs);
      if (over) button.hidden = true;
    }
  }

  // Buttons of the page carry the version that one has seen: what telemetry did meanwhile is shown, so it is seen.
  function show(fresh) {
    const now = part();
    now.className = fresh.className;
    for (const old of now.querySelectorAll("[data-repair-part]")) {
      const next = fresh.querySelector(`[data-repair-part=${old.dataset.repairPart}]`);
      if (old.innerHTML !== next.innerHTML) old.innerHTML = next.innerHTML;
    }
    for (const version of document.querySelectorAll("input[name=version]")) version.value = fresh.dataset.version;
  }
}
