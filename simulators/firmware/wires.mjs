// asyncio.open_connection of firmware, over Node's net and tls. Hex strings and one callback for all connections, as an
// object that goes through to Python for each packet would never be freed.
import net from "node:net";
import tls from "node:tls";

const pem = (what, hex) => {
  const bytes = Buffer.from(hex, "hex");
  if (!bytes.length || bytes.toString("latin1", 0, 5) === "-----") return bytes;
  return `-----BEGIN ${what}-----\n${bytes.toString("base64").replace(/(.{64})/g, "$1\n")}\n-----END ${what}-----\n`;
};
const KEYS = ["PRIVATE KEY", "EC PRIVATE KEY"];

export class Wires {
  constructor(report, local) {
    this.open_ = new Map();
    this.last = 0;
    this.wake = () => {};
    this.up = true; // the radio's network; without it no name is found and nothing is heard
    this.report = report;
    this.local = local; // a peer within this process, where there is one
  }
  // `secured` is JSON of {ca, certificate, key, name, verify} in hex, or "" for plain text.
  open(host, port, secured) {
    const fd = ++this.last;
    const wire = { up: false, eof: false, error: "", queue: [], bytes: 0, sent: 0 };
    this.open_.set(fd, wire);
    const tell = () => this.wake(fd);
    const end = (why) => { wire.error ||= why; wire.eof = true; tell(); };
    if (!this.up) { setTimeout(() => end("EHOSTUNREACH"), 10); return fd; }
    if (this.local) {
      wire.socket = this.local((data) => { if (data) wire.queue.push(data); else wire.eof = true; tell(); });
      if (!wire.socket) { setTimeout(() => end("ECONNREFUSED"), 10); return fd; }
      wire.up = true;
      return fd;
    }
    try {
      wire.socket = secured ? this._tls(host, port, JSON.parse(secured)) : net.connect({ host, port, noDelay: true });
    } catch (error) {
      setTimeout(() => end(error.code || error.message), 0);
      return fd;
    }
    wire.socket.setNoDelay(true);
    wire.socket.on(secured ? "secureConnect" : "connect", () => { wire.up = true; tell(); });
    wire.socket.on("data", (data) => {
      if (!this.up) return;
      wire.bytes += data.length;
      wire.queue.push(data);
      tell();
    });
    wire.socket.on("error", (error) => end(error.code || error.message));
    wire.socket.on("close", () => { wire.eof = true; tell(); });
    return fd;
  }
  _tls(host, port, by) {
    const options = {
      host, port, ca: pem("CERTIFICATE", by.ca), servername: net.isIP(by.name) ? "" : by.name,
      rejectUnauthorized: by.verify, minVersion: "TLSv1.2",
      // As on the board: without a name any name will do.
      checkServerIdentity: (_, peer) => (by.name ? tls.checkServerIdentity(by.name, peer) : undefined),
    };
    if (by.certificate) {
      options.cert = pem("CERTIFICATE", by.certificate);
      options.key = pem(KEYS[by.pkcs8 === false ? 1 : 0], by.key);
    }
    return tls.connect(options);
  }
  state(fd) { const w = this.open_.get(fd); return w ? (w.error ? -1 : w.up ? (w.eof ? 2 : 1) : w.eof ? -1 : 0) : 2; }
  error(fd) { return this.open_.get(fd)?.error || "ECONNRESET"; }
  receive(fd, n) {
    const wire = this.open_.get(fd);
    if (!wire || !wire.queue.length) return "";
    let data = wire.queue[0];
    if (data.length > n) { wire.queue[0] = data.subarray(n); data = data.subarray(0, n); } else wire.queue.shift();
    return data.toString("hex");
  }
  send(fd, hex) {
    const wire = this.open_.get(fd);
    if (!wire || !wire.socket || wire.eof) return -1;
    wire.sent += 1;
    if (this.up) wire.socket.write(Buffer.from(hex, "hex"));
    return 0;
  }
  close(fd) { const wire = this.open_.get(fd); this.open_.delete(fd); wire?.socket?.destroy(); }
  // Connections die without a goodbye: what the platform finds out is up to its keepalive.
  cut() { for (const wire of this.open_.values()) { wire.socket?.destroy(); wire.error ||= "ECONNRESET"; wire.eof = true; } }
}
