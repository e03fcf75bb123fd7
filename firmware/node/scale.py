# Numbers of sensors as numbers of metrics: whole, in the metric's unit times 10^decimals, None where nothing is known.

WIDTH = 5
DECIMALS, DEADBAND, LOW, HIGH, PCT = range(WIDTH)  # what a kind's table tells of each metric


# Of the metric at this place of a kind's table.
def about(table, place, what):
    return table.NUMBERS[table.PACKED[WIDTH * place + what]]


POWERS = (1, 10, 100, 1000, 10000, 100000, 1000000)


# n · 10^to / 10^have, halves away from zero; None stays None.
def rescale(n, have, to):
    if n is None or have == to:
        return n
    if to > have:
        return n * 10 ** (to - have)
    return divided(n, 10 ** (have - to))


# n / by rounded, halves away from zero.
def divided(n, by):
    if by < 0:
        n, by = -n, -by
    return (n + by // 2) // by if n >= 0 else -((-n + by // 2) // by)


# The bits of an IEEE 754 single as a whole number of 10^-decimals; None for NaN, infinity and what is beyond 2^53.
# Without floats, as those of a controller lose the last digits of counters.
def of_single(bits, decimals):
    exponent, fraction = (bits >> 23) & 255, bits & 0x7FFFFF
    if exponent == 255:
        return None
    if exponent == 0:
        return 0
    shift, n = exponent - 150, (fraction | 0x800000) * POWERS[decimals]
    if shift > 29:
        return None
    n = n << shift if shift >= 0 else (n + (1 << (-shift - 1))) >> -shift if shift > -64 else 0
    return -n if bits >> 31 else n


# A reading under construction: what lies outside the metric's bounds or is unknown is left out.
class Snapshot:
    def __init__(self, table, places):
        self.numbers, self.packed = table.NUMBERS, table.PACKED
        self.places = places  # of metrics in the table, by name
        self.values = {}

    def put(self, name, n, have=0):
        place = self.places.get(name)
        if n is None or place is None:
            return
        at, packed, numbers = WIDTH * place, self.packed, self.numbers
        to = numbers[packed[at]]
        if have != to:
            n = rescale(n, have, to)
        if numbers[packed[at + LOW]] <= n <= numbers[packed[at + HIGH]]:
            self.values[name] = n
