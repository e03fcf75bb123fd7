// What a crew does without a connection: kept in IndexedDB, sent later in order and once. For pages and the worker.

globalThis.krajQueue = (() => {
  // Keys are known to the server for a day; what was tried longer ago may have been done already, and a person decides.
  const KEPT_MS = 23 * 3600 * 1000;
  const ANSWER_MS = 30_000;
  const TRIES_MAX = 3;
  const LOCK = "kraj-queue";

  function opened() {
    return new Promise((done, failed) => {
      const request = indexedDB.open("kraj", 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("actions", { keyPath: "id", autoIncrement: true });
        request.result.createObjectStore("known");
      };
      request.onsuccess = () => done(request.result);
      request.onerror = () => failed(request.error);
    });
  }

  async function within(store, mode, work) {
    const database = await opened();
    try {
      return await new Promise((done, failed) => {
        const transaction = database.transaction(store, mode);
        const request = work(transaction.objectStore(store));
        transaction.oncomplete = () => done(request.result);
        transaction.onerror = transaction.onabort = () => failed(transaction.error);
      });
    } finally {
      database.close();
    }
  }

  const all = () => within("actions", "readonly", (store) => store.getAll());
  const get = (id) => within("actions", "readonly", (store) => store.get(id));
  const put = (action) => within("actions", "readwrite", (store) => store.put(action));
  const drop = (id) => within("actions", "readwrite", (store) => store.delete(id));
  const known = (name) => within("known", "readonly", (store) => store.get(name));
  const know = (name, value) => within("known", "readwrite", (store) => store.put(value, name));

  function add(action) {
    return put({ ...action, key: crypto.randomUUID(), made_at: Date.now(), tried_at: null, body: null, trouble: null });
  }

  const of = async (person) => (await all()).filter((action) => action.person === person);

  // One at a time, whoever asks: two tabs, or a page and the worker.
  async function sync(fresh = null) {
    const result = await navigator.locks.request(LOCK, () => sending(fresh));
    new BroadcastChannel(LOCK).postMessage(result);
    return result;
  }

  async function sending(fresh) {
    const result = { sent: [], versions: {}, refused: false, stopped: null };
    const person = await known("person");
    for (const { id } of await of(person)) {
      const action = await get(id);
      if (!action || action.trouble) continue;
      const outcome = await send(action, id === fresh);
      if (outcome === "sent") {
        result.sent.push(action.alert);
        if (action.made) result.versions[action.alert] = action.made.version;
      }
      else if (outcome === "refused") result.refused = true;
      else if (outcome !== "trouble") {
        result.stopped = outcome;
        break;
      }
    }
    return result;
  }

  // "sent", "trouble" (kept for the person to decide), "refused" (fresh: its page says why), or why all must wait:
  // "later", "signed_out", "other".
  async function send(action, fresh) {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (action.tried_at && Date.now() - action.tried_at > KEPT_MS) return trouble(action, { code: "unsure" });
      action.tried_at ??= Date.now();
      if (action.step) action.body ??= JSON.stringify({ ...action.fields, step: action.step, version: action.version });
      await put(action); // the same bytes under the same key, however often they are sent
      let answer, said;
      try {
        answer = await posted(action);
        said = await answer.json(); // half an answer is none: the same key brings all of it
      } catch {
        return "later";
      }
      if (answer.ok) {
        await settled(action, said);
        return "sent";
      }
      const outcome = await judged(action, answer.status, said, fresh);
      if (outcome !== "again") return outcome;
    }
    return "later";
  }

  function posted(action) {
    const photo = !action.step;
    return fetch(`/v1/alerts/${action.alert}/${photo ? "photos" : "steps"}`, {
      method: "POST",
      headers: {
        "content-type": photo ? action.photo.type || "application/octet-stream" : "application/json",
        "idempotency-key": action.key,
        "kraj-person": String(action.person),
      },
      body: photo ? action.photo : action.body,
      signal: AbortSignal.timeout(ANSWER_MS),
    });
  }

  // What was done after it, on the same state of the alert, goes on from what this has made.
  async function settled(action, made) {
    await drop(action.id);
    if (!action.step) return;
    action.made = made; // for who sends; it is stored no more
    for (const next of await of(action.person)) {
      if (next.alert !== action.alert || next.body || next.version !== action.version) continue;
      await put({ ...next, version: made.version, state: made.state, assignee: made.assignee ?? "" });
    }
  }

  async function now(alert) {
    try {
      const answer = await fetch(`/v1/alerts/${alert}`, { signal: AbortSignal.timeout(ANSWER_MS) });
      return answer.ok ? await answer.json() : null;
    } catch {
      return null;
    }
  }

  async function judged(action, status, problem, fresh) {
    const code = String(problem.type ?? "").replace("/problems/", "");
    if (status === 401 || code === "second_factor") return "signed_out";
    if (code === "other_person") return "other";
    if (status >= 500 || status === 408 || status === 429) return "later";
    if (fresh) {
      await drop(action.id);
      return "refused";
    }
    if (status === 412 || (status === 409 && action.step)) {
      const found = await now(action.alert);
      if (!found) return "later";
      const same = found.state === action.state && (found.assignee ?? "") === action.assignee;
      if (status === 412 && (same || !action.step || action.step === "commented")) {
        // Refused means: not done, and the key is free. Only its version was old.
        await put(Object.assign(action, { version: found.version, state: found.state, body: null }));
        return "again";
      }
      const last = found.events.at(-1);
      return trouble(action, { code: "changed", step: last.step, who: last.who, at: last.at, note: last.note });
    }
    return trouble(action, { code: "refused", detail: problem.detail ?? String(status) });
  }

  async function trouble(action, what) {
    await put({ ...action, trouble: what });
    return "trouble";
  }

  // A new action with a new key, as nothing of the old one was done.
  async function asComment(id, note, label) {
    const old = await get(id);
    await drop(id);
    const { person, alert, title, version, state, assignee } = old;
    return add({ person, alert, title, version, state, assignee, label, detail: note, step: "commented", fields: { note } });
  }

  // Copies of pages are one person's; nothing of them stays for the next one.
  async function purge() {
    for (const name of await caches.keys()) if (name.startsWith("kraj-pages-")) await caches.delete(name);
  }

  return { LOCK, add, all, asComment, drop, get, know, known, of, purge, sync };
})();
