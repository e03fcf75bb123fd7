# A new certificate for the key that this device has: by whose order, whether it is one, and its trial.
#
# The order is a document that the platform's issuing authority has signed (kraj/signed.py), so that neither broker nor
# ingest can give a device a certificate or roots. What is taken lies beside what the device has, as `renewal` among its
# secrets, until the broker has taken it (`keep`) or has refused it for good (`drop`). Power may go at any write: `cert`
# and `roots` are whole, and while `renewal` is there it is tried again.
import hashlib
import json
from binascii import a2b_base64, b2a_base64, hexlify, unhexlify

from node.link import ROUNDS

BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
REST_MS = 600000  # by the old one, before the new one is tried again
PEM_MAX = 2000
TOTAL_MAX = 3900  # of what lies there on trial: NVS takes 4000 bytes
POINT = 64
# SubjectPublicKeyInfo of a point on P-256 up to the point itself.
KEY_HEAD = unhexlify("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


# Why an order is not followed: one word, told in the result.
class Refused(Exception):  # noqa: N818
    pass


# The element of DER at a place: (tag, where its content begins, where it ends).
def element(der, at):
    if at + 2 > len(der):
        raise ValueError("cut short")
    size, begin = der[at + 1], at + 2
    if size & 128:
        count = size & 127
        size, begin = int.from_bytes(der[begin : begin + count], "big"), begin + count
    if begin + size > len(der):
        raise ValueError("cut short")
    return der[at], begin, begin + size


# Unix seconds of a UTCTime or GeneralizedTime.
def seconds(der, at):
    tag, begin, end = element(der, at)
    said = der[begin:end].decode()
    if tag == 0x17:
        said = "20" + said
    if len(said) != 15:
        raise ValueError("no time")
    year = int(said[:4])
    month, day, hour, minute, second = [int(said[at : at + 2]) for at in (4, 6, 8, 10, 12)]
    if month < 3:
        year, month = year - 1, month + 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - 719469
    return ((days * 24 + hour) * 60 + minute) * 60 + second


# What a certificate says; raises ValueError where it is none of a P-256 key. Its texts are as they stand, in DER.
class Certificate:
    def __init__(self, der):
        _, at, whole = element(der, 0)
        _, begin, end = element(der, at)
        if der[0] != 0x30 or whole != len(der):
            raise ValueError("no certificate")
        self.signed = der[at:end]
        _, _, after = element(der, end)
        _, place, end = element(der, after)
        self.signature = der[place + 1 : end]
        at = element(der, begin)[2]  # behind the version
        found = []
        for _ in range(6):  # serial, algorithm, issuer, validity, subject, key
            _, inner, end = element(der, at)
            found.append((at, inner, end))
            at = end
        _, inner, end = found[0]
        self.serial = hexlify(der[inner:end]).decode().lstrip("0")
        _, inner, _ = found[3]
        self.begins, self.ends = seconds(der, inner), seconds(der, element(der, inner)[2])
        at, _, end = found[4]
        self.subject = der[at:end]
        at, _, end = found[5]
        if der[at : at + len(KEY_HEAD)] != KEY_HEAD or end - at != len(KEY_HEAD) + POINT:
            raise ValueError("no key on P-256")
        self.key = der[end - POINT : end]


# The certificates in PEM, one after the other, as DER.
def certificates(pem):
    found, at = [], pem.find(BEGIN)
    while at >= 0:
        end = pem.find(END, at)
        if end < 0:
            raise ValueError("cut short")
        found.append(a2b_base64(pem[at + len(BEGIN) : end].encode()))
        at = pem.find(BEGIN, end)
    return found


def is_signed(data, signature, key, feed):
    from node import p256

    try:
        _, at, end = element(signature, 0)
        _, begin, middle = element(signature, at)
        _, second, last = element(signature, middle)
    except ValueError:
        return False
    if end != len(signature) or last != end:
        return False
    r, s = int.from_bytes(signature[begin:middle], "big"), int.from_bytes(signature[second:last], "big")
    return p256.verify(key, r, s, hashlib.sha256(data).digest(), feed)


# The certificate by which the device is there, or None.
def own(board):
    try:
        return Certificate(certificates((board.secret("cert") or b"").decode())[0])
    except (ValueError, IndexError):
        return None


# What an order says, as (document, issuer, signature, certificate, roots) in text and PEM; raises Refused.
def read(order, device):
    try:
        text, issuer, signature = order["document"], order["issuer"], a2b_base64(order["signature"].encode())
        said = json.loads(text)
        leaf, roots = said["certificate"], said["roots"]
        if max(len(leaf), len(issuer), len(roots)) > PEM_MAX:
            raise Refused("size")
        if len(certificates(leaf)) != 1 or not certificates(roots) or not certificates(issuer):
            raise Refused("form")
        whose = said["do"], said["device"], said["id"]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refused("form") from None
    if whose != ("renew", device, order["id"]):
        raise Refused("other")
    return text, issuer, signature, leaf, roots


# Raises Refused for a certificate that this device could not use.
def judge(new, before, clock):
    if new.key != before.key:
        raise Refused("key")
    if new.subject != before.subject:
        raise Refused("name")
    now_ms = clock.utc_ms()
    if now_ms is None:
        raise Refused("clock")
    if not new.begins <= now_ms // 1000 < new.ends:
        raise Refused("expired")
    if new.ends < before.ends:
        raise Refused("older")


# Raises Refused unless what issues below one of our roots has signed the text.
def vouch(text, signature, issuer, known, feed):
    above = Certificate(certificates(issuer)[0])
    for root in certificates(known):
        if is_signed(above.signed, above.signature, Certificate(root).key, feed):
            break
    else:
        raise Refused("signed_by")
    if not is_signed(text.encode(), signature, above.key, feed):
        raise Refused("signature")


# Takes the order's certificate on trial, unless it is the one that the device has. Why not, or None; then all is as it
# was.
def take(board, clock, device, order):
    try:
        checked(board, clock, device, order)
    except Refused as why:
        return str(why)
    except OSError:
        return "flash"
    return None


def checked(board, clock, device, order):
    text, issuer, signature, leaf, roots = read(order, device)
    before, known = own(board), (board.secret("roots") or b"").decode()
    if before is None:
        raise Refused("none")
    try:
        new = Certificate(certificates(leaf)[0])
        judge(new, before, clock)
        vouch(text, signature, issuer, known, board.feed)
    except (ValueError, IndexError):
        raise Refused("form") from None
    if new.serial == before.serial:
        return
    # Of what it has already it needs no second copy.
    if issuer.encode() in board.secret("cert"):
        issuer = ""
    data = "\0".join((order["id"], leaf, issuer, "" if roots == known else roots)).encode()
    if len(data) > TOTAL_MAX:
        raise Refused("size")
    board.keep_secret("renewal", data)


def parts(board):
    found = (board.secret("renewal") or b"").split(b"\0")
    return found if len(found) == 4 else None


# What is on trial as (certificate with the one above it, roots), or None.
def trial(board):
    found = parts(board)
    if found is None:
        return None
    _, leaf, issuer, roots = found
    chain = board.secret("cert") or b""
    above = issuer or chain[chain.find(END.encode()) + len(END) :]
    return leaf + b"\n" + above.lstrip(), roots or board.secret("roots")


# The broker has taken it: from now on it is the device's.
def keep(board):
    found = trial(board)
    if found is not None:
        board.keep_secret("roots", found[1])
        board.keep_secret("cert", found[0])
    board.keep_secret("renewal", None)


# The broker takes the old one and not this one; gives by which order it came.
def drop(board):
    found = parts(board)
    board.keep_secret("renewal", None)
    return found[0].decode() if found else None


# What a device asks of this module, as it is in memory only for one answer.
def turn(device, what, tried):
    board, link = device.board, device.link
    if what == "serial":
        found = own(board)
        return found and found.serial
    if what == "trial":
        return trial(board)
    if what == "tried":
        return settled(device, link, tried)
    if "document" not in what:
        return show(board, link, what["id"])
    why = take(board, device.clock, device.settings["device"], what)
    if why is None and board.secret("renewal"):
        link.trying, link.rest_until = ROUNDS, 0
    return why is None, why


# What the platform asks for where it does not know our key: the certificate itself, whose fingerprint it has.
def show(board, link, name):
    der = certificates((board.secret("cert") or b"").decode())
    if not der:
        return False, "none"
    said = {"id": name, "ok": True, "certificate": b2a_base64(der[0]).decode().strip()}
    link.say("result", json.dumps(said).encode())
    return True, None


# The broker has taken us: by what is on trial (above 0), or by what we had, right after that had failed. A broker that
# is gone takes neither, and says nothing of a certificate.
def settled(device, link, tried):
    if tried < -1:
        link.trying, link.rest_until = -tried - 1, device.clock.ticks_ms() + REST_MS
        return
    link.trying = 0
    try:
        if tried > 0:
            keep(device.board)
            return
        name = drop(device.board)
    except OSError as error:  # flash that is worn: it is tried again after the next start
        device.supervisor.note("renewal", error)
        return
    if name:
        link.say("result", json.dumps({"id": name, "ok": False, "error": "refused"}).encode())
