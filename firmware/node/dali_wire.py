# DALI frames as pulses: Manchester halves of 416.7 us on a line that rests high; what is not exactly a frame is None.

HALF_US = 417
SHORT_US, MIDDLE_US, LONG_US = 250, 625, 1050  # one half, two halves, silence
ANSWER_HALVES = 18  # a start bit and eight bits


# The lengths of the pulses of a forward frame of 16 bits, the first one low, the line resting high after the last.
def pulses(frame):
    halves = [0, 1]
    for place in range(15, -1, -1):
        halves += (0, 1) if frame >> place & 1 else (1, 0)
    while halves[-1]:
        halves.pop()  # rest
    found, before = [0], 0
    for level in halves:
        if level != before:
            found.append(0)
            before = level
        found[-1] += HALF_US
    return found


# The byte of a backward frame from its pulses in us, the first one low; None for a collision, a cut or noise.
def byte_of(lengths):
    halves, level = [], 0
    for length in lengths:
        if not SHORT_US <= length < LONG_US:
            return None
        halves += [level] * (1 if length < MIDDLE_US else 2)
        level = 1 - level
    if len(halves) == ANSWER_HALVES - 1 and level == 1:
        halves.append(1)  # the last half is the rest of the line
    if len(halves) != ANSWER_HALVES or halves[:2] != [0, 1]:
        return None
    found = 0
    for at in range(2, ANSWER_HALVES, 2):
        if halves[at] == halves[at + 1]:
            return None
        found = found << 1 | halves[at + 1]
    return found
