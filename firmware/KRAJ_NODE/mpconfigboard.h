// MicroPython for Kraj's devices: ESP32 with 4 MB of flash, no PSRAM. It maps the partition `romfs`, in which releases lie.
#define MICROPY_HW_BOARD_NAME "Kraj node"
#define MICROPY_HW_MCU_NAME "ESP32"
#define MICROPY_VFS_ROM (1)
#define MICROPY_PY_BLUETOOTH (0)
