// Runs a device's unmodified firmware under the real MicroPython: options as the first line of JSON on standard input,
// then orders; what it tells goes out as lines of JSON. `simulators/firmware/host.py` is at the other end.
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import * as clocks from "./clock.mjs";
import { Flash } from "./flash.mjs";
import { Wires } from "./wires.mjs";

// The interpreter frees nothing while Python runs, and its main task always does.
const COLLECT_MS = { real: 2_000, virtual: 300_000, later: 900_000 };
const LATER_MS = 7_200_000; // of a virtual day: by then all has been seen once that takes memory
// Of a board's 110 KB so much is free beside firmware, and it collects when that is full; this interpreter would every 16 KB.
const BOARD_FREE = 65_536;
// At once and whole: what process.stdout holds back for a reader who is slow is lost with process.exit.
const told = (what) => { for (let rest = Buffer.from(JSON.stringify(what) + "\n"); rest.length;) rest = rest.subarray(writeSync(1, rest)); };
const lines = createInterface({ input: process.stdin });
const orders = [];
let awake = () => {};
lines.on("line", (line) => { orders.push(JSON.parse(line)); awake(); });
lines.on("close", () => { orders.push({ do: "stop" }); awake(); });
const next = async () => {
  while (!orders.length) await new Promise((resolve) => { awake = resolve; });
  return orders.shift();
};

// Without its source, which is one line of 200 KB.
process.on("uncaughtException", (error) => { told({ failed: String(error.stack ?? error).slice(-2000) }); process.exit(1); });

const options = await next();
const began = process.hrtime.bigint();
const clock = options.virtual ? clocks.virtual(options.virtual.start_ms) : clocks.real();
const hear = globalThis.setTimeout; // after the clock was put in place: the firmware's time

function end(cause) {
  told({ ended: cause, heap_kb: heapKb, rtc_memory: chip.memory, rtc_ms: clock.now() + chip.offset_ms, written: flash.written, erased: flash.erased,
    wall_ms: Number(process.hrtime.bigint() - began) / 1e6 });
  flash.close();
  process.exit(0);
}

let heapKb = 0, base = 0, names = 0, namesBefore = 0;
let values = options.values ?? {};
let table = options.table; // {start_ms, step_ms, columns: {name: [value, ...]}}: values by time
const flash = new Flash(options.folder, options.partitions, (cause) => end(cause));
flash.cutAfter = options.cut_after ?? -1;
const peer = options.peer ? new (await import(options.peer)).Peer({ ...options.peer_options, now: clock.now, told, seen: () => measure() }) : null;
const wires = new Wires(told, peer && ((deliver) => peer.connect(deliver)));
wires.up = options.network ?? true;

// What is kept under a name, beside the flash; not committed, it is lost with the power.
const secrets = join(options.folder, "nvs.json");
const kept = existsSync(secrets) ? JSON.parse(readFileSync(secrets, "utf8")) : {};
// The clock on the chip: it begins at 2000 with the power, and a reset leaves it.
const EPOCH_MS = 946_684_800_000;
const chip = { offset_ms: (options.rtc_ms ?? EPOCH_MS) - clock.now(), memory: options.rtc_memory ?? "" };
const watchdog = { timeout: 0, fed: 0, armed: false };
function watch() {
  watchdog.armed = true;
  const left = watchdog.fed + watchdog.timeout - clock.now();
  if (left <= 0) end("watchdog");
  hear(watch, left);
}

// The interpreter looks a function up by its number for each call that may throw, and Node takes its time: a quarter.
const find = WebAssembly.Table.prototype.get;
let tableOfAll, found;
WebAssembly.Table.prototype.get = function get(at) {
  if (this !== tableOfAll) { tableOfAll = this; found = []; } // there is one alone
  return (found[at] ??= find.call(this, at));
};

// An image with ROMFS maps the partition of that name, so that bytecode runs where it lies in it; what is written there
// is seen at once. The loader and the names that such an image has frozen lie behind it, as they are not in this one.
const slots = options.mapped ? flash.whole("romfs") : undefined;
const { loadMicroPython } = await import("@micropython/micropython-webassembly-pyscript");
const python = await loadMicroPython({
  heapsize: options.heap_kb * 1024,
  linebuffer: true,
  romfs: slots && Buffer.concat([slots, Buffer.from(options.frozen, "base64")]),
  stdout: (line) => {
    const table = /^qstr pool: .* n_qstr=(\d+)/.exec(line);
    if (table) names = Number(table[1]); else told({ said: line });
  },
  stderr: (line) => told({ said: line }),
});
const column = (name) => {
  const row = table?.columns[name];
  const at = row && Math.min(row.length - 1, Math.max(0, Math.floor((clock.now() - table.start_ms) / table.step_ms)));
  const found = (row ? row[at] : values[name]) ?? null;
  // Of whole numbers only the low 32 bits would arrive.
  return Number.isInteger(found) && Math.abs(found) > 0x3fffffff ? String(found) : found;
};
python.registerJsModule("_host", {
  flash_sectors: (name) => flash.sectors(name),
  flash_read: (name, at, n) => flash.read(name, at, n),
  flash_write: (name, at, hex) => flash.write(name, at, hex),
  flash_erase: (name, sector) => flash.erase(name, sector),
  nvs_get: (name) => kept[name] ?? "",
  nvs_set: (name, value) => { kept[name] = value; },
  nvs_drop: (name) => { delete kept[name]; },
  nvs_commit: () => writeFileSync(secrets, JSON.stringify(kept), { mode: 0o600 }),
  wire_wake: (call) => { wires.wake = call; },
  wire_open: (host, port, secured) => wires.open(host, port, secured),
  wire_state: (fd) => wires.state(fd),
  wire_error: (fd) => wires.error(fd),
  wire_receive: (fd, n) => wires.receive(fd, n),
  wire_send: (fd, hex) => wires.send(fd, hex),
  wire_close: (fd) => wires.close(fd),
  network_up: () => wires.up,
  // As text: of numbers that do not fit in 32 bits only the low ones would arrive.
  ntp_ms: () => (options.ntp === false || !wires.up ? "" : String(clock.now() + (options.offset_ms ?? 0))),
  rtc_s: () => Math.floor((clock.now() + chip.offset_ms) / 1000),
  rtc_set: (ms) => { chip.offset_ms = Number(ms) - clock.now(); },
  rtc_memory: (hex) => { if (hex !== "-") chip.memory = hex; return chip.memory; },
  watchdog: (ms) => { watchdog.timeout = ms; watchdog.fed = clock.now(); if (!watchdog.armed) watch(); },
  feed: () => { watchdog.fed = clock.now(); },
  reset_cause: () => options.cause ?? "power_on",
  power: (cause) => end(cause),
  value: column,
  values_stand: () => !table,
  modbus_crc: (hex) => Buffer.from(hex, "hex").reduce((crc, byte) => {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
    return crc;
  }, 0xffff),
  told: (what, value) => told({ [what]: value }),
  // The interpreter's memory may grow, and is another buffer then.
  mapped: (at) => flash.map("romfs", () => Buffer.from(python._module.HEAPU8.buffer, at, slots.length)),
});
if (slots) python.runPython(`
import _host, uctypes, vfs
_host.mapped(uctypes.addressof(vfs.rom_ioctl(2, 0)))
if ${options.frozen.length}:
    import sys
    vfs.mount(vfs.VfsRom(vfs.rom_ioctl(2, 0)[${slots.length}:]), "/frozen")
    sys.path.append("/frozen")
    try:
        import names
    except ImportError:
        pass
`);
function copy(from, to) {
  for (const name of readdirSync(from)) {
    const path = join(from, name);
    if (name === "typings" || name.startsWith(".") || name === "__pycache__") continue;
    if (statSync(path).isDirectory()) { python.FS.mkdir(`${to}/${name}`); copy(path, `${to}/${name}`); }
    else if (/\.(py|mpy|json|bin)$/.test(name)) python.FS.writeFile(`${to}/${name}`, readFileSync(path));
  }
}
for (const [folder, at] of options.files) { python.FS.mkdir(at); copy(folder, at); }

// The interpreter's table of names grows by parts, each twice as large as the one before: 7 bytes a place, and a head.
const tableOf = (count) => {
  let bytes = 0;
  for (let size = 20, room = 0; room < count; room += size, size *= 2) bytes += size * 7 + 32;
  return bytes;
};
// Live heap of the firmware: what is there now, without what was there before it began (the fakes). The fakes' names
// have filled the small parts of the table: of that, what the firmware's names alone would take.
const alloc = () => {
  begin.tidy(); // done when the next call begins, and never within one
  return begin.weigh() - tableOf(names);
};
const measure = () => {
  const own = alloc() - base;
  heapKb = Math.max(heapKb, (own + tableOf(names - namesBefore)) / 1024);
  return heapKb;
};
const firstMs = clock.now();
const collectMs = () => COLLECT_MS[!clock.virtual ? "real" : clock.now() - firstMs < LATER_MS ? "virtual" : "later"];
function collect() { measure(); hear(collect, collectMs()); }

// The firmware begins as on the board: its paths, then main.py; what main.py leaves to run is waited for.
const paths = [...(options.frozen ? ["/frozen"] : []), ...options.files.map(([, at]) => at)].map((at) => JSON.stringify(at)).join(", ");
python.runPython(`import sys, gc, micropython, asyncio, _host; sys.path[:] = [${paths}]; import begin, wired; wired.wire("${options.kind ?? ""}")`);
python.runPython(`gc.threshold(${BOARD_FREE})`);
const begin = python.pyimport("begin");
base = alloc();
namesBefore = names;
const whole = `
${options.script}
main_task = getattr(asyncio, "main_task", None)
if main_task is not None:
    await main_task
`;
let done = false;
let failed = "";
const running = python.runPythonAsync(whole).catch((error) => { failed = String(error.message ?? error); })
  .then(() => { done = true; });
hear(collect, collectMs());

async function obey() {
  for (;;) {
    const order = await next();
    if (order.do === "values") { Object.assign(values, order.values); python.runPython("import parts; parts.look()"); }
    else if (order.do === "table") { table = order.table; python.runPython("import parts; parts.look()"); }
    else if (order.do === "network") { wires.up = order.up; if (!order.up && order.cut) wires.cut(); }
    else if (order.do === "cut") wires.cut();
    else if (order.do === "power") flash.cutAfter = flash.written + order.after;
    else if (order.do === "heap") told({ heap_kb: measure() });
    else if (order.do === "python") {
      try { python.runPython(order.code); told({ done: order.id ?? 0 }); } catch (error) { told({ failed: String(error) }); }
    } else if (order.do === "stop") end("stop");
  }
}
obey();
if (clock.virtual) {
  await clock.run(options.virtual.until_ms, () => done);
  measure();
  if (options.at_end) python.runPython(options.at_end);
} else await running;
if (failed) { told({ failed }); end("failed"); }
measure();
end(done ? "done" : "virtual");
