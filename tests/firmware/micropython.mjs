// Runs a script under the real MicroPython: node micropython.mjs script.py [file ...]; the files lie beside the script.
// One named romfs.bin is mapped into memory, as a board's partition of that name is.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript";

const [script, ...files] = process.argv.slice(2);
const mapped = files.find((file) => basename(file) === "romfs.bin");
const python = await loadMicroPython({
  romfs: mapped && readFileSync(mapped),
  heapsize: 4 * 1024 * 1024,
  linebuffer: true,
  stdout: (line) => console.log(line),
});
for (const file of files) python.FS.writeFile(basename(file), readFileSync(file));
try {
  python.runPython(readFileSync(script, "utf8"));
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
}
