"""What hangs on serial lines, byte for byte: Modbus RTU devices and a Victron charger."""

from node.modbus import crc16


class ModbusLine:
    """``devices``: by unit, by function (3, 4) a dict of registers. Trouble is a list, taken one an answer: ``drop``,
    ``half``, ``flip``, ``noise``, ``foreign`` or ``late``."""

    def __init__(self, devices):
        self.devices, self.trouble, self.asked, self.waiting, self.late = devices, [], [], b"", b""

    def write(self, data):
        self.waiting, self.late = self.waiting + self.late, b""
        data = bytes(data)
        unit, function = data[0], data[1]
        assert crc16(data[:-2]) == data[-2] | data[-1] << 8
        address, count = data[2] << 8 | data[3], data[4] << 8 | data[5]
        self.asked.append((unit, function, address, count))
        if unit not in self.devices:
            return
        registers = self.devices[unit].get(function)
        if registers is None:
            body = bytes((unit, function | 0x80, 1))
        elif any(at not in registers for at in range(address, address + count)):
            body = bytes((unit, function | 0x80, 2))
        else:
            body = bytes((unit, function, 2 * count))
            for at in range(address, address + count):
                body += bytes((registers[at] >> 8, registers[at] & 255))
        crc = crc16(body)
        self.answer(body + bytes((crc & 255, crc >> 8)))

    def answer(self, frame):
        trouble = self.trouble.pop(0) if self.trouble else None
        if trouble == "drop":
            return
        if trouble == "half":
            frame = frame[: len(frame) // 2]
        elif trouble == "flip":
            frame = frame[:3] + bytes((frame[3] ^ 4,)) + frame[4:]
        elif trouble == "noise":
            frame = b"\x00\xff" + frame
        elif trouble == "foreign":
            frame = frame[:1] + bytes((frame[1] ^ 7,)) + frame[2:]
        elif trouble == "late":
            self.late = frame
            return
        self.waiting += frame

    def read(self):
        got, self.waiting = self.waiting[:3], self.waiting[3:]
        return got


class Victron:
    """A VE.Direct port: blocks of text with their checksum."""

    def __init__(self):
        self.waiting = b""

    def block(self, fields):
        body = b"".join(b"\r\n" + name.encode() + b"\t" + str(value).encode() for name, value in fields)
        body += b"\r\nChecksum\t"
        return body + bytes(((-sum(body)) & 255,))

    def say(self, fields):
        self.waiting += self.block(fields)

    def write(self, data):
        raise AssertionError("a text port is only listened to")

    def read(self):
        got, self.waiting = self.waiting[:7], self.waiting[7:]
        return got
