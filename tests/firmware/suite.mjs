// Runs the firmware's suite under the real MicroPython: node suite.mjs module ...; prints one JSON object a case.
// In its flash lie /firmware (without typings), /tests (of tests/firmware: suite, shim, fakes and files beside them).
import { readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = process.argv.slice(2);

// MicroPython takes the number of a timer, where Node gives an object.
const timers = new Map();
const { setTimeout: start, clearTimeout: stop } = globalThis;
let last = 0;
globalThis.setTimeout = (call, ms, ...more) => {
  const id = ++last;
  timers.set(id, start(() => { timers.delete(id); call(...more); }, ms));
  return id;
};
globalThis.clearTimeout = (id) => {
  stop(typeof id === "number" ? timers.get(id) : id);
  timers.delete(id);
};

const { loadMicroPython } = await import("@micropython/micropython-webassembly-pyscript");
const python = await loadMicroPython({
  heapsize: 8 * 1024 * 1024,
  linebuffer: true,
  stdout: (line) => console.log(line),
  stderr: (line) => console.error(line),
});

function copy(from, to, skipped = []) {
  python.FS.mkdir(to);
  for (const name of readdirSync(from)) {
    if (skipped.includes(name) || name === "__pycache__") continue;
    const path = join(from, name);
    if (statSync(path).isDirectory()) copy(path, `${to}/${name}`);
    else if (/\.(py|json|bin|txt)$/.test(name)) python.FS.writeFile(`${to}/${name}`, readFileSync(path));
  }
}
copy(join(here, "../../firmware"), "/firmware", ["typings"]);
copy(here, "/tests", ["node"]);

try {
  await python.runPythonAsync(`
import asyncio, json, sys
sys.path[:] = ["", "/firmware", "/tests", "/tests/suite", "/tests/shim"]
import unittest
def tell(name, outcome, said, ms):
    print(json.dumps({"case": name, "outcome": outcome, "said": said, "ms": ms}))
await asyncio.create_task(unittest.run(${JSON.stringify(modules)}, tell))
print(json.dumps({"done": True}))
`);
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
}
process.exit();
