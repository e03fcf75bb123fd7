// A broker and platform within the process, for time that leaps: takes what a device publishes and acknowledges readings
// at once. As much of MQTT 5 as one device needs; what it sends back is told, so that both worlds can be compared.
const CONNECT = 1, CONNACK = 2, PUBLISH = 3, PUBACK = 4, SUBSCRIBE = 8, SUBACK = 9, UNSUBSCRIBE = 10, UNSUBACK = 11;
const PINGREQ = 12, PINGRESP = 13, DISCONNECT = 14;

function varint(n) {
  const out = [];
  do { out.push(n > 127 ? (n & 127) | 128 : n); n >>= 7; } while (n);
  return Buffer.from(out);
}
const packet = (head, ...parts) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([head]), varint(body.length), body]);
};
const short = (n) => Buffer.from([n >> 8, n & 255]);
const text = (said) => { const raw = Buffer.from(said); return Buffer.concat([short(raw.length), raw]); };

export class Peer {
  // `quiet` keeps what is published from being told; `outages` are spans [from_ms, to_ms) in which nobody answers;
  // `silent` acknowledges nothing. `retained` has texts by topic, and `kept` bytes in base64; `orders` are texts that are
  // published once, [at_ms, topic, text]. `seen` is called whenever a topic is asked for, or no more.
  constructor({ now, told, quiet = false, outages = [], silent = false, retained = {}, kept = {}, orders = [], seen }) {
    for (const [topic, data] of Object.entries(kept)) retained[topic] = Buffer.from(data, "base64");
    Object.assign(this, { now, told, quiet, outages, silent, retained, orders, seen, counts: {} });
    this.last = 0;
  }
  away() { const at = this.now(); return this.outages.some(([from, to]) => from <= at && at < to); }
  connect(deliver) {
    if (this.away()) return null;
    let waiting = Buffer.alloc(0);
    let open = true;
    const say = (data) => { if (open) setTimeout(() => open && deliver(data), 0); };
    for (const order of this.orders) {
      setTimeout(() => {
        if (!open || !order.length) return;
        this.publish(order[1], order[2], say);
        order.length = 0;
      }, order.length ? order[0] - this.now() : 0);
    }
    const socket = {
      write: (data) => {
        if (this.away()) { setTimeout(() => socket.destroy(), 0); return; }
        waiting = Buffer.concat([waiting, data]);
        for (let taken; (taken = this._packet(waiting)); ) {
          waiting = waiting.subarray(taken.size);
          this._take(taken.head, taken.body, say);
        }
      },
      destroy: () => { if (open) { open = false; deliver(null); } },
    };
    return socket;
  }
  _packet(from) {
    let size = 0;
    for (let at = 1, shift = 0; ; at++, shift += 7) {
      if (at >= from.length) return null;
      size |= (from[at] & 127) << shift;
      if (from[at] < 128) {
        if (from.length < at + 1 + size) return null;
        return { head: from[0], body: from.subarray(at + 1, at + 1 + size), size: at + 1 + size };
      }
    }
  }
  _take(head, body, say) {
    const kind = head >> 4;
    if (kind === CONNECT) say(packet(CONNACK << 4, Buffer.from([0, 0, 0])));
    else if (kind === PINGREQ) say(packet(PINGRESP << 4));
    else if (kind === SUBSCRIBE || kind === UNSUBSCRIBE) this._subscribed(kind, body, say);
    else if (kind === PUBLISH) this._published(head, body, say);
    else if (kind === DISCONNECT) return;
  }
  _subscribed(kind, body, say) {
    if (this.seen) setTimeout(this.seen, 0);
    const topics = [];
    for (let at = 2 + 1 + body[2]; at < body.length; ) {
      const length = body.readUInt16BE(at);
      topics.push(body.toString("utf8", at + 2, at + 2 + length));
      at += 2 + length + (kind === SUBSCRIBE ? 1 : 0);
    }
    const codes = Buffer.alloc(topics.length, kind === SUBSCRIBE ? 1 : 0);
    say(packet((kind === SUBSCRIBE ? SUBACK : UNSUBACK) << 4, body.subarray(0, 2), Buffer.from([0]), codes));
    if (kind === SUBSCRIBE) {
      for (const topic of topics) if (topic in this.retained) this.publish(topic, this.retained[topic], say, 1);
    }
  }
  publish(topic, payload, say, retain = 0) {
    this.last = (this.last % 65535) + 1;
    say(packet((PUBLISH << 4) | 2 | retain, text(topic), short(this.last), Buffer.from([0]), Buffer.from(payload)));
  }
  _published(head, body, say) {
    const length = body.readUInt16BE(0);
    const topic = body.toString("utf8", 2, 2 + length);
    let at = 2 + length;
    const qos = (head >> 1) & 3;
    if (qos) { say(packet(PUBACK << 4, body.subarray(at, at + 2))); at += 2; }
    const payload = body.subarray(at + 1 + body[at]).toString();
    const channel = topic.slice(topic.lastIndexOf("/") + 1);
    this.counts[channel] = (this.counts[channel] ?? 0) + 1;
    if (!this.quiet) this.told({ at: this.now(), topic, payload: JSON.parse(payload || "null") });
    if ((channel === "telemetry" || channel === "event") && !this.silent) {
      const found = JSON.parse(payload);
      const readings = Array.isArray(found) ? found : [found];
      this.counts.readings = (this.counts.readings ?? 0) + readings.length;
      const boots = new Map();
      for (const { boot, seq } of readings) boots.set(boot, [...(boots.get(boot) ?? []), [seq, seq]]);
      for (const [boot, seq] of boots) this._ack(`${topic.slice(0, topic.lastIndexOf("/"))}/ack`, { boot, seq }, say);
    }
  }
  _ack(topic, said, say) {
    say(packet(PUBLISH << 4, text(topic), Buffer.from([0]), Buffer.from(JSON.stringify(said))));
  }
}
