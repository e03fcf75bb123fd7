# Verification of ECDSA signatures on P-256 (FIPS 186-5) by MicroPython's own integers.
# Its TLS is in C, and shows nothing of this. Nothing here is secret, so nothing needs to take constant time.
#
# Points are Jacobian, (X, Y, Z) with x = X/Z², y = Y/Z³; Z = 0 is the point at infinity.

P = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
BASE_X = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
BASE_Y = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5


def double(point):
    x, y, z = point
    delta, gamma = z * z % P, y * y % P
    beta, alpha = x * gamma % P, 3 * (x - delta) * (x + delta) % P
    out = (alpha * alpha - 8 * beta) % P
    return out, (alpha * (4 * beta - out) - 8 * gamma * gamma) % P, 2 * y * z % P


def add(one, two):
    x1, y1, z1 = one
    x2, y2, z2 = two
    if not z1:
        return two
    if not z2:
        return one
    a, b = z1 * z1 % P, z2 * z2 % P
    u, s = x1 * b % P, y1 * z2 * b % P
    h, r = (x2 * a - u) % P, (y2 * z1 * a - s) % P
    if not h:
        return (1, 1, 0) if r else double(one)
    square = h * h % P
    cube, v = h * square % P, u * square % P
    out = (r * r - cube - 2 * v) % P
    return out, (r * (v - out) - s * cube) % P, h * z1 * z2 % P


# Whether `r` and `s` sign the digest (32 bytes) by the key, a point of 64 bytes. `feed` is called now and then: it
# takes a second or two, which a watchdog may not like.
def verify(key, r, s, digest, feed=None):
    x, y = int.from_bytes(key[:32], "big"), int.from_bytes(key[32:], "big")
    if len(key) != 64 or x >= P or y >= P or (y * y - x * x * x + 3 * x - B) % P:
        return False
    if not (0 < r < ORDER and 0 < s < ORDER):
        return False
    inverse = pow(s, ORDER - 2, ORDER)
    one, two = int.from_bytes(digest, "big") * inverse % ORDER, r * inverse % ORDER
    if feed:
        feed()
    base, own = (BASE_X, BASE_Y, 1), (x, y, 1)
    both = add(base, own)
    found = (1, 1, 0)
    for bit in range(255, -1, -1):
        found = double(found)
        which = (one >> bit & 1) + 2 * (two >> bit & 1)
        if which:
            found = add(found, (base, own, both)[which - 1])
        if feed and bit & 31 == 0:
            feed()
    x, _, z = found
    square = z * z % P
    # Of the point's x the order may have been taken off once.
    return bool(z) and ((x - r * square) % P == 0 or (r + ORDER < P and (x - (r + ORDER) * square) % P == 0))
