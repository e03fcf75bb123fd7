# Levels out by PWM (also 0–10 V behind a filter) and voltages in.

from machine import ADC, PWM, Pin

FULL = 65535


# In thousandths. `inverted`: an open pin is full light, as that is what a driver's 0–10 V input says to a cut wire.
class Pwm:
    def __init__(self, wiring):
        self.inverted = wiring.get("inverted", False)
        duty = 0 if self.inverted else FULL  # full light until the first order
        self.pwm = PWM(Pin(wiring["pin"]), freq=wiring.get("hz", 1000), duty_u16=duty)

    def set(self, permille):
        duty = FULL * permille // 1000
        self.pwm.duty_u16(FULL - duty if self.inverted else duty)


# The mean of some conversions in mV; `times` and `by` undo a voltage divider.
class Adc:
    SAMPLES = 16

    def __init__(self, wiring):
        self.adc = ADC(Pin(wiring["pin"]), atten=ADC.ATTN_11DB)
        self.times, self.by = wiring.get("times", 1), wiring.get("by", 1)

    def mv(self):
        total = 0
        for _ in range(self.SAMPLES):
            total += self.adc.read_uv()
        return total * self.times // (self.SAMPLES * self.by * 1000)


pwm, adc = Pwm, Adc
