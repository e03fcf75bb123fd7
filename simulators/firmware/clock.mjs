// The time that firmware lives in: the machine's own, or a virtual one that leaps from timer to timer.

// Timers by number: MicroPython keeps what setTimeout returns as an int and gives it back.
export function real() {
  const set = globalThis.setTimeout, clear = globalThis.clearTimeout;
  const timers = new Map();
  let last = 0;
  globalThis.setTimeout = (call, ms, ...rest) => {
    const id = ++last;
    timers.set(id, set(() => { timers.delete(id); call(...rest); }, ms));
    return id;
  };
  globalThis.clearTimeout = (id) => {
    clear(typeof id === "number" ? timers.get(id) : id);
    timers.delete(id);
  };
  const now = Date.now.bind(Date);
  return { now, virtual: false };
}

// A clock that stands still while anything runs, and leaps to the next timer when nothing does any more.
export function virtual(startMs) {
  let nowMs = startMs, last = 0;
  const queue = []; // a heap by time, then by number, so that timers of one moment keep their order
  const before = (a, b) => queue[a].at - queue[b].at || queue[a].id - queue[b].id;
  const swap = (a, b) => { [queue[a], queue[b]] = [queue[b], queue[a]]; };
  const dropped = new Set();
  const push = (timer) => {
    let at = queue.push(timer) - 1;
    for (let up = (at - 1) >> 1; at && before(at, up) < 0; at = up, up = (at - 1) >> 1) swap(at, up);
  };
  const pop = () => {
    swap(0, queue.length - 1);
    const first = queue.pop();
    for (let at = 0; ;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < queue.length && before(child, least) < 0) least = child;
      if (least === at) return first;
      swap(at, least);
      at = least;
    }
  };
  globalThis.setTimeout = (call, ms = 0, ...rest) => {
    push({ id: ++last, at: nowMs + Math.max(0, Number(ms) || 0), call: () => call(...rest) });
    return last;
  };
  globalThis.clearTimeout = (id) => { if (id !== undefined) dropped.add(id); };
  Date.now = () => Math.floor(nowMs);
  performance.now = () => nowMs - startMs;
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  // Until `untilMs`, or until `done` says so; promises run between timers.
  const run = async (untilMs, done) => {
    while (!done()) {
      await turn();
      while (queue.length && dropped.delete(queue[0].id)) pop();
      if (!queue.length || queue[0].at > untilMs) { nowMs = Math.max(nowMs, untilMs); return; }
      const timer = pop();
      nowMs = Math.max(nowMs, timer.at);
      timer.call();
    }
  };
  return { now: () => nowMs, virtual: true, run };
}
