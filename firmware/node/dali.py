# DALI control gear with D4i memory banks: levels on the logarithmic curve, energy and diagnostics.
#
# The `bus` has `async send(frame)` and `async ask(frame)` -> byte or None (nobody answered, or several at once); frames
# are 16 bits. A gear tells MASK (all ones) and TMASK (one less) where it does not know: that is None here.

OFF, STEPS = 0x00, 254
ACTUAL_LEVEL, STATUS, READ_MEMORY = 0xA0, 0x90, 0xC5
SET_SYSTEM_FAILURE, SET_POWER_ON = 0x2C, 0x2D  # taken from DTR0; each has to be said twice
DTR0, DTR1 = 0xA3, 0xC3

# The curve is 10^(3(n-1)/253 - 1) per cent: in place of a table of 254, its factors 10^(3·2^k/253) in millionths.
RATIOS = (1027680, 1056125, 1115400, 1244118, 1547830, 2395778, 5739754, 32944776)


# Millionths of a per cent that arc level n (1 to 254) gives.
def light(n):
    found, n = 100000, n - 1
    for place, ratio in enumerate(RATIOS):
        if n >> place & 1:
            found = found * ratio // 1000000
    return found


# The arc level for whole per cent on the logarithmic curve: 50 % is 229, 10 % 170, 1 % 85; 0 is off.
def arc(pct):
    if pct <= 0:
        return 0
    low, high, wanted = 1, STEPS, pct * 1000000
    if pct >= 100:
        return STEPS
    while low < high:
        middle = (low + high) // 2
        if light(middle) < wanted:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low > 1 and wanted - light(low - 1) < light(low) - wanted else low


# Tenths of a per cent.
def pct_of(n):
    return 0 if n == 0 else min(1000, (light(n) + 50000) // 100000)


class Gear:
    def __init__(self, bus, address=None, linear=False):
        self.bus = bus
        # Address byte with its last bit for commands; without an address it speaks to all.
        self.address = 0xFE if address is None else address << 1
        self.linear = linear

    def command(self, code):
        return (self.address | 1) << 8 | code

    def arc_of(self, pct):
        return min(STEPS, (pct * STEPS + 50) // 100) if self.linear else arc(pct)

    # Without our bus, and from power on, the gear burns at full level: nothing of ours makes a street dark.
    async def prepare(self):
        await self.bus.send(DTR0 << 8 | STEPS)
        for code in (SET_SYSTEM_FAILURE, SET_POWER_ON):
            await self.bus.send(self.command(code))
            await self.bus.send(self.command(code))

    async def set_pct(self, pct):
        await self.bus.send(self.address << 8 | self.arc_of(pct))

    # Tenths of a per cent, None where nobody answers or the gear does not know (it starts, or its lamp failed).
    async def level(self):
        found = await self.bus.ask(self.command(ACTUAL_LEVEL))
        if found is None or found > STEPS:
            return None
        return (found * 1000 + 127) // STEPS if self.linear else pct_of(found)

    # Bytes of a memory bank, each None where it did not come.
    async def memory(self, bank, start, count):
        await self.bus.send(DTR1 << 8 | bank)
        await self.bus.send(DTR0 << 8 | start)
        found = []
        for place in range(count):
            one = await self.bus.ask(self.command(READ_MEMORY))
            if one is None:
                # It may not have counted up: say again which one is next.
                await self.bus.send(DTR0 << 8 | start + place + 1)
            found.append(one)
        return found

    # (metric, value, its decimals) of banks 202, 205 and 206 (DiiA parts 252 and 253).
    async def read(self):
        found = []
        bank = await self.memory(202, 0x04, 12)
        for metric, told in (("energy_wh", bank[:7]), ("power_w", bank[7:])):
            n, decimals = scaled(told)
            found.append((metric, n, decimals))
        bank = await self.memory(205, 0x04, 24)
        found.append(("gear_on_time_s", number(bank[0:4]), 0))
        found.append(("gear_starts", number(bank[4:7]), 0))
        found.append(("voltage_v", number(bank[7:9]), 1))
        found.append(("power_factor", number(bank[10:11]), 2))
        warm = number(bank[23:24])
        found.append(("gear_temp_degc", None if warm is None else warm - 60, 0))
        lamp = await self.memory(206, 0x07, 24)
        found.append(("lamp_starts", number(lamp[0:3]), 0))
        found.append(("lamp_on_time_s", number(lamp[7:11]), 0))
        flags = None
        # In the order of failure_flags: a condition every second byte, as its counter stands behind it.
        told = [bank[at] for at in range(11, 23, 2)] + [lamp[at] for at in range(15, 24, 2)]
        for bit, one in enumerate(told):
            if one in (0, 1):
                flags = (flags or 0) | one << bit
        found.append(("failure_flags", flags, 0))
        return found


# Bytes, high first; None where one is missing, or all ones (MASK), or one less (TMASK).
def number(told):
    n = 0
    for one in told:
        if one is None:
            return None
        n = n << 8 | one
    return None if not told or n >= (1 << 8 * len(told)) - 2 else n


# A power of ten before the number: (value, its decimals).
def scaled(told):
    n = number(told[1:])
    exponent = told[0]
    if n is None or exponent is None:
        return None, 0
    exponent = exponent - 256 if exponent > 127 else exponent
    return (n, -exponent) if -6 <= exponent <= 6 else (None, 0)
