# make BOARD_DIR=…/firmware/KRAJ_NODE, in ports/esp32 of MicroPython 1.29: docs/firmware.md has the whole.
# The table of partitions and what is frozen are those of firmware/; the table is named by its absolute path, as another
# one would be looked for beside MicroPython's.
include(boards/mpconfigboard_esp32_common.cmake)

get_filename_component(KRAJ_FIRMWARE ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.kraj
    "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${KRAJ_FIRMWARE}/partitions.csv\"\n"
)
list(APPEND SDKCONFIG_DEFAULTS
    ${CMAKE_CURRENT_LIST_DIR}/sdkconfig.board
    ${CMAKE_BINARY_DIR}/sdkconfig.kraj
)
set(MICROPY_FROZEN_MANIFEST ${KRAJ_FIRMWARE}/manifest.py)
