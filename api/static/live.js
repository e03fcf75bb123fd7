// Keeps the values on a page fresh: asks the API, changes texts in place, never moves the focus, can be paused.

const page = document.querySelector("[data-latest]");
if (page) start(page);

function start(root) {
  const texts = JSON.parse(root.dataset.texts);
  const language = document.documentElement.lang;
  const panel = root.querySelector("[data-live]");
  const button = root.querySelector("[data-live-pause]");
  const state = root.querySelector("[data-live-state]");
  const pollMs = Number(root.dataset.pollMs);
  const show = root.dataset.page === "asset" ? showAsset : showFleet;
  let paused = false;
  let lost = false;
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
    if (state.dataset.said !== key) {
      state.dataset.said = key;
      state.textContent = texts[key];
    }
  }

  async function refresh() {
    try {
      const [latest, totals] = await Promise.all([all(root.dataset.latest), root.dataset.totals && ask(root.dataset.totals)]);
      if (paused) return;
      show(latest);
      if (totals) showTotals(totals);
      if (lost || !state.dataset.said) say("live.on");
      lost = false;
    } catch {
      lost = true;
      if (!paused) say("live.lost");
    } finally {
      clearTimeout(timer);
      if (!paused && !document.hidden) timer = setTimeout(refresh, pollMs);
    }
  }

  // As many as the page shows, be it in several answers.
  async function all(url) {
    const latest = await ask(url);
    while (latest.next_cursor && latest.items.length < Number(root.dataset.count)) {
      const next = await ask(`${url}${url.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(latest.next_cursor)}`);
      latest.items.push(...next.items);
      latest.next_cursor = next.next_cursor;
    }
    return latest;
  }

  async function ask(url) {
    const answer = await fetch(url, { headers: { accept: "application/json" }, signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  }

  // A text is replaced only when it differs, so that a screen reader and a selection stay where they are.
  function put(element, text, flash = false) {
    if (!element || element.textContent === text) return;
    element.textContent = text;
    if (!flash) return;
    element.classList.remove("changed");
    requestAnimationFrame(() => element.classList.add("changed"));
  }

  function condition(element, name) {
    if (element && !element.classList.contains(name)) {
      element.classList.remove("reporting", "unusual", "silent", "offline", "never");
      element.classList.add(name);
    }
  }

  function showState(row, item, at) {
    const badge = row.querySelector("[data-part=condition]");
    condition(badge, item.condition);
    put(badge, texts[`condition.${item.condition}`]);
    condition(row.querySelector("[data-part=symbol]"), item.condition);
    const time = row.querySelector("[data-part=ago]");
    if (time && item.ts) {
      if (time.dateTime !== item.ts) {
        time.dateTime = item.ts;
        time.title = new Date(item.ts).toLocaleString(language);
      }
      put(time, ago(at - Date.parse(item.ts)));
    }
  }

  function showFleet(latest) {
    const at = Date.parse(latest.at);
    const rows = new Map([...root.querySelectorAll("[data-asset]")].map((row) => [row.dataset.asset, row]));
    const towns = new Map();
    const counts = { reporting: 0, unusual: 0, silent: 0, offline: 0, never: 0 };
    let known = 0;
    for (const item of latest.items) {
      counts[item.condition] += 1;
      const town = towns.get(item.municipality) ?? { count: 0, quiet: 0, shares: {} };
      town.count += 1;
      town.shares[item.condition] = (town.shares[item.condition] ?? 0) + 1;
      town.quiet += item.condition === "silent" || item.condition === "offline";
      towns.set(item.municipality, town);
      const row = rows.get(String(item.asset_id));
      if (row) {
        known += 1;
        showState(row, item, at);
        if (item.headline) {
          put(row.querySelector("[data-part=value]"), shown(item.headline.value), true);
          put(row.querySelector("[data-part=unit]"), item.headline.unit);
        }
      }
    }
    const conditions = new Map(latest.items.map((item) => [item.asset_id, item.condition]));
    root.querySelector("[data-marks]")?.dispatchEvent(new CustomEvent("latest", { detail: conditions }));
    for (const cluster of root.querySelectorAll("[data-cluster]")) {
      const town = towns.get(cluster.dataset.cluster);
      if (!town) continue;
      let start = 0;
      for (const ring of cluster.querySelectorAll("[data-share]")) {
        const length = (100 * (town.shares[ring.dataset.share] ?? 0)) / town.count;
        ring.setAttribute("stroke-dasharray", `${length} 100`);
        ring.setAttribute("stroke-dashoffset", String(-start));
        start += length;
      }
      name(cluster, fill(texts["map.cluster"], { title: cluster.dataset.title, ...town }));
    }
    const summary = root.querySelector("[data-summary]");
    const sentence = fill(texts["live.summary"], { ...counts, quiet: counts.silent + counts.offline });
    put(summary, known < rows.size ? `${sentence} ${texts["live.changed"]}` : sentence);
  }

  function name(link, text) {
    if (link.getAttribute("aria-label") === text) return;
    link.setAttribute("aria-label", text);
    link.querySelector("title").textContent = text;
  }

  function showAsset(latest) {
    const at = Date.parse(latest.at);
    const facts = root.querySelector("[data-asset]");
    showState(facts, { condition: latest.condition, ts: latest.reading?.ts }, at);
    condition(root.querySelector("h1 [data-part=symbol]"), latest.condition);
    if (!latest.reading) return;
    for (const row of root.querySelectorAll("[data-metric]")) {
      const value = latest.reading.values[row.dataset.metric];
      put(row.querySelector("[data-part=value]"), value === undefined ? "–" : shown(value, row.dataset.whole === "true"), true);
      row.querySelector("[data-part=flag]").hidden = !latest.reading.implausible.includes(row.dataset.metric);
    }
  }

  function showTotals(totals) {
    for (const cell of root.querySelectorAll("[data-total]")) {
      const from = cell.dataset.slot ? totals.slots.find((slot) => slot.slot === cell.dataset.slot) : totals;
      if (from) put(cell, number(from[cell.dataset.total], true));
    }
  }

  function fill(text, values) {
    return text.replace(/\{(\w+)\}/g, (_, key) => String(values[key]));
  }

  function shown(value, whole = false) {
    if (typeof value === "boolean") return texts[value ? "yes_no.yes" : "yes_no.no"];
    if (Array.isArray(value)) return value.map(word).join(", ") || "–";
    if (typeof value === "string") return word(value);
    return number(value, whole);
  }

  function word(text) {
    return texts[`word.${text}`] ?? text.replaceAll("_", " ");
  }

  // The same rules as api/formats.py.
  function number(value, whole = false) {
    const size = Math.abs(value);
    const decimals = whole || size >= 1000 ? 0 : size >= 10 ? 1 : 2;
    let text = size.toFixed(decimals);
    if (decimals) text = text.replace(/\.?0+$/, "");
    const [integer, fraction] = text.split(".");
    const grouped = integer.replace(/\B(?=(\d{3})+$)/g, language === "cs" ? "\u00a0" : ",");
    const sign = value < 0 && Number(text) !== 0 ? "−" : "";
    return sign + grouped + (fraction ? (language === "cs" ? "," : ".") + fraction : "");
  }

  function ago(ms) {
    const seconds = Math.floor(ms / 1000);
    if (seconds < 2) return texts["ago.now"];
    const [unit, size] = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]].find(([, s]) => seconds >= s);
    return fill(texts.ago, { span: `${Math.floor(seconds / size)}\u00a0${texts[`ago.${unit}`]}` });
  }
}
