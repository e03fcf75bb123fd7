// Flash as NOR flash is: writing clears bits, erasing sets a sector's; kept in files, so that it outlives the process.
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

export const SECTOR = 4096;

export class Flash {
  // `partitions` maps names to numbers of sectors; `cut` is called when the power is to go, and must not return.
  constructor(folder, partitions, cut) {
    this.areas = new Map();
    this.written = 0;
    this.erased = 0;
    this.cutAfter = -1;
    this.cut = cut;
    mkdirSync(folder, { recursive: true });
    for (const [name, sectors] of Object.entries(partitions)) {
      const path = join(folder, `${name}.bin`);
      if (!existsSync(path)) writeFileSync(path, Buffer.alloc(sectors * SECTOR, 0xff), { mode: 0o600 });
      const bytes = readFileSync(path);
      this.areas.set(name, { bytes: () => bytes, file: openSync(path, "r+"), sectors });
    }
  }
  whole(name) { return this.areas.get(name).bytes(); }
  // From now on a partition lies where `bytes` finds it: mapped, what is written there is seen by who runs there.
  map(name, bytes) { this.areas.get(name).bytes = bytes; }
  sectors(name) { return this.areas.get(name)?.sectors ?? -1; }
  read(name, at, n) { return this._within(name, at, n).bytes().toString("hex", at, at + n); }
  write(name, at, hex) {
    const data = Buffer.from(hex, "hex");
    const area = this._within(name, at, data.length);
    // Of a write that is cut off, the first bytes are there.
    const whole = this.cutAfter < 0 || this.written + data.length <= this.cutAfter;
    const n = whole ? data.length : Math.max(0, this.cutAfter - this.written);
    const bytes = area.bytes();
    for (let i = 0; i < n; i++) bytes[at + i] &= data[i];
    writeSync(area.file, bytes, at, n, at);
    this.written += n;
    if (!whole) this.cut("flash");
  }
  erase(name, sector) {
    const area = this._within(name, sector * SECTOR, SECTOR);
    const bytes = area.bytes().fill(0xff, sector * SECTOR, (sector + 1) * SECTOR);
    writeSync(area.file, bytes, sector * SECTOR, SECTOR, sector * SECTOR);
    this.erased += 1;
  }
  close() { for (const area of this.areas.values()) closeSync(area.file); }
  _within(name, at, n) {
    const area = this.areas.get(name);
    if (!area) throw new Error(`no partition ${name}`);
    if (at < 0 || at + n > area.sectors * SECTOR) throw new Error(`beyond the end of ${name}: ${at} + ${n}`);
    return area;
  }
}
