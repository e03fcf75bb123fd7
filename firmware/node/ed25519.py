# Verification of Ed25519 signatures (RFC 8032) by MicroPython's own integers.
# Signing is done elsewhere, with a key that no device has. Stricter than the RFC asks: `s` below the order, both points
# in their one encoding, no point of small order. Nothing here is secret, so nothing needs to take constant time.
#
# Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.

P = (1 << 255) - 19
ORDER = (1 << 252) + 27742317777372353535851937790883648493
D = 0x52036CEE2B6FFE738CC740797779E89800700A4D4141D8AB75EB4DCA135978A3
ROOT_OF_MINUS_1 = 0x2B8324804FC1DF0B2B4D00993DFBD7A72F431806AD2FE478C4EE1B274A0EA0B0
BASE_X = 0x216936D3CD6E53FEC0A4E231FDD6DC5C692CC7609525A7B2C9562D608F25D51A
BASE_Y = 0x6666666666666666666666666666666666666666666666666666666666666658
MASK = (1 << 64) - 1


# The first 64 bits of the fractional part of a prime's square or cube root, by Newton's way from above: a table would
# cost 700 bytes of RAM for what takes a moment.
def fraction(prime, power):
    target = prime << (64 * power)
    # No prime below 410 has a larger root.
    root = (8 if power == 3 else 21) << 64
    while True:
        closer = ((power - 1) * root + target // root ** (power - 1)) // power
        if closer >= root:
            return root & MASK
        root = closer


def primes(count):
    found = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


# SHA-512 of the parts, one behind another. MicroPython has SHA-256 alone.
def sha512(*parts):
    firsts = primes(80)
    constants = [fraction(prime, 3) for prime in firsts]
    state = [fraction(prime, 2) for prime in firsts[:8]]
    size = 0
    rest = b""
    for part in parts:
        size += len(part)
        part = rest + part
        end = len(part) & ~127
        for at in range(0, end, 128):
            compress(state, constants, part, at)
        rest = part[end:]
    last = rest + b"\x80" + bytes((111 - len(rest)) % 128) + (size << 3).to_bytes(16, "big")
    for at in range(0, len(last), 128):
        compress(state, constants, last, at)
    return b"".join([word.to_bytes(8, "big") for word in state])


def compress(state, constants, data, at):
    words = [int.from_bytes(data[at + n : at + n + 8], "big") for n in range(0, 128, 8)]
    a, b, c, d, e, f, g, h = state
    for turn in range(80):
        place = turn & 15
        if turn > 15:
            x = words[(turn + 1) & 15]
            y = words[(turn + 14) & 15]
            x |= x << 64
            y |= y << 64
            low = ((x >> 1) ^ (x >> 8) ^ ((x & MASK) >> 7)) & MASK
            high = ((y >> 19) ^ (y >> 61) ^ ((y & MASK) >> 6)) & MASK
            words[place] = (words[place] + low + words[(turn + 9) & 15] + high) & MASK
        x = e | e << 64
        one = h + ((x >> 14 ^ x >> 18 ^ x >> 41) & MASK) + (g ^ (e & (f ^ g))) + constants[turn] + words[place]
        x = a | a << 64
        two = ((x >> 28 ^ x >> 34 ^ x >> 39) & MASK) + ((a & b) | (c & (a | b)))
        h, g, f, e, d, c, b, a = g, f, e, (d + one) & MASK, c, b, a, (one + two) & MASK
    for n, word in enumerate((a, b, c, d, e, f, g, h)):
        state[n] = (state[n] + word) & MASK


def add(one, two):
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = two
    a = (y1 - x1) * (y2 - x2) % P
    b = (y1 + x1) * (y2 + x2) % P
    c = 2 * t1 * t2 * D % P
    d = 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def double(point):
    x, y, z, _ = point
    a = x * x % P
    b = y * y % P
    e = (x + y) * (x + y) - a - b
    g = b - a
    f = g - 2 * z * z
    h = -a - b
    return e * f % P, g * h % P, f * g % P, e * h % P


# The point that 32 bytes mean, or None where they mean none, or not in its one encoding.
def point(text):
    y = int.from_bytes(text, "little")
    sign = y >> 255
    y &= (1 << 255) - 1
    if y >= P:
        return None
    u = (y * y - 1) % P
    v = (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P) % P, (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * ROOT_OF_MINUS_1 % P
        if (v * x * x - u) % P:
            return None
    if x == 0 and sign:
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def is_small(of):
    x, _, _, _ = double(double(double(of)))
    return x % P == 0


# Whether the signature (64 bytes) of the message, given in parts, was made with the key of these 32 public bytes.
# `feed` is called now and then: it takes a second or two, which a watchdog may not like.
def verify(public, signature, parts, feed=None):
    if len(public) != 32 or len(signature) != 64:
        return False
    key = point(public)
    given = point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if key is None or given is None or s >= ORDER or is_small(key) or is_small(given):
        return False
    if feed:
        feed()
    k = int.from_bytes(sha512(signature[:32], public, *parts), "little") % ORDER
    if feed:
        feed()
    base = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)
    x, y, z, t = key
    minus = (P - x, y, z, P - t)
    both = add(base, minus)
    found = (0, 1, 1, 0)
    for bit in range(252, -1, -1):
        found = double(found)
        which = (s >> bit & 1) + 2 * (k >> bit & 1)
        if which:
            found = add(found, (base, minus, both)[which - 1])
        if feed and bit & 31 == 0:
            feed()
    x, y, z, _ = found
    return (x - given[0] * z) % P == 0 and (y - given[1] * z) % P == 0
