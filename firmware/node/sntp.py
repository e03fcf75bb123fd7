# The question for the time, and what is believed of the answer (SNTP, RFC 4330).
import struct

NTP_S = 2208988800  # from 1900 to 1970


# `nonce`: eight bytes that the answer must repeat, so that nobody else answers for it.
def question(nonce):
    return b"\x23" + bytes(39) + nonce


# The time in an answer, None in one that is not to be believed: unsynchronised, a kiss of death, or not to us.
def read(answer, nonce):
    if len(answer) < 48 or answer[0] & 7 != 4 or answer[0] >> 6 == 3 or not 1 <= answer[1] <= 15:
        return None
    if bytes(answer[24:32]) != nonce:
        return None
    seconds, fraction = struct.unpack("!II", answer[40:48])
    if seconds < 0x80000000:
        seconds += 0x100000000  # the era that begins in 2036
    return (seconds - NTP_S) * 1000 + (fraction * 1000 >> 32)
