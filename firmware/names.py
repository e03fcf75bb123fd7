# The names and short words of the firmware, for an image that freezes them: then they need no table.
# Written by `kraj firmware constants`; nothing imports it on a device.
# ruff: noqa
# fmt: off
def names(o):
    import board.clock
    import board.device
    import board.drivers.dali_bus
    import board.drivers.epaper
    import board.drivers.lines
    import board.drivers.outputs
    import board.drivers.parts
    import board.drivers.pins
    import board.flash
    import board.network
    import board.secrets
    import main
    import node.app
    import node.config
    import node.constants
    import node.dali
    import node.dali_wire
    import node.desired
    import node.ed25519
    import node.ina226
    import node.kinds.cabinet
    import node.kinds.equipment
    import node.kinds.lamp
    import node.kinds.solar
    import node.kinds.stop
    import node.link
    import node.lis3dh
    import node.meters
    import node.metrics.cabinet
    import node.metrics.lamp
    import node.metrics.solar
    import node.metrics.stop
    import node.modbus
    import node.mqtt
    import node.orders
    import node.p256
    import node.program
    import node.record
    import node.release
    import node.renewal
    import node.ring
    import node.sampling
    import node.scale
    import node.sectors
    import node.shedding
    import node.sht3x
    import node.sntp
    import node.state
    import node.sunspec
    import node.supervisor
    import node.update
    import node.vedirect
    return (
        o.ACTUAL_LEVEL, o.ADC, o.AF_INET, o.AGAIN_PCT, o.ALIAS, o.ALIAS_USED, o.ANSWERS_MAX, o.ANSWER_HALVES,
        o.ANSWER_MS, o.ANSWER_US, o.ANY, o.ASK_TIME_MS, o.ASTRAY, o.ATTN_11DB, o.AUTOMATIC, o.AVERAGED, o.Adc, o.Area,
        o.B, o.BANDS, o.BARE_AFTER, o.BASE_X, o.BASE_Y, o.BEFORE, o.BEFORE_MONTH, o.BEGIN, o.BELOW_PCT, o.BLOCK,
        o.BLOCK_MAX, o.BODY_MAX, o.BOOLEANS, o.BRIGHT_MLX, o.BURST_INTERVAL_S, o.BURST_MS, o.BURST_S, o.BUS, o.BUSY,
        o.Battery, o.Board, o.Body, o.Bus, o.CAUSES, o.CERT_REQUIRED, o.CHANNEL, o.CHARGING, o.CHORES_MS, o.CHUNK,
        o.CLOCK, o.CLOSE_MS, o.COMMANDED, o.COMMANDS_REMEMBERED, o.COMMAND_ID_CHARS_MAX, o.CONFIG, o.COUNTERS,
        o.CancelledError, o.Certificate, o.Channel, o.Client, o.Clock, o.ClosedError, o.Config, o.Contact, o.Copies,
        o.D, o.DARK, o.DARK_MLX, o.DATES, o.DAY_MV, o.DAY_S, o.DEAD, o.DEADBAND, o.DECIMALS, o.DEEPSLEEP_RESET,
        o.DELIVERED, o.DESIRED_BYTES, o.DIAL_S, o.DISPLAY_HOURLY, o.DTR0, o.DTR1, o.Device, o.Dusk, o.EARLIEST_MS,
        o.END, o.EPOCH_S, o.ERASE, o.ERROR_CHARS_MAX, o.EVENT, o.EVENT_CHARS_MAX, o.EXPIRY, o.Event, o.FAILED, o.FAULTS,
        o.FIELDS, o.FIRST_MS, o.FLOAT, o.FLOATS, o.FORGIVEN_MS, o.FRAME, o.FRAME_BYTES, o.FRAME_MS, o.FULL, o.FULL_MV,
        o.FULL_PART, o.FULL_PCT, o.FrameBuffer, o.GAP_MS, o.GOODBYE_MS, o.Gear, o.GoneError, o.H, o.HALF_US, o.HALVES,
        o.HARD_RESET, o.HASH_BYTES, o.HEAD, o.HEAD_BYTES, o.HEARTBEAT_IDLE_S, o.HEARTBEAT_S, o.HEIGHT, o.HEX, o.HIGH,
        o.HOLDING, o.HOLD_MS, o.HOUR_MS, o.I, o.I2C, o.IDLE, o.IDLE_MS, o.IN, o.INBOX, o.INPUT, o.INTERVAL_S, o.INT_MAX,
        o.IRQ_FALLING, o.IRQ_RISING, o.Ina226, o.Inverter, o.JITTER_WH, o.JOIN_MS, o.KEEPALIVE, o.KEEPALIVE_S,
        o.KEEP_MS, o.KEY, o.KEYS, o.KEY_EVERY, o.KEY_HEAD, o.KINDS, o.KNOWN, o.Kind, o.LABELS, o.LATCH, o.LATCHED,
        o.LATEST_MS, o.LIGHT, o.LIGHT_SHED_PCT, o.LIT_MS, o.LONGEST_MS, o.LONG_US, o.LOOK_MS, o.LOST, o.LOW, o.LOWER_MS,
        o.Lean, o.Light, o.Line, o.Link, o.Lis3dh, o.Lock, o.MAGIC, o.MAKER, o.MALFORMED, o.MANIFEST_MAX, o.MARK,
        o.MASK, o.ME, o.MEANS_MS, o.MEASURE, o.MEASURES_MS, o.MESSAGE_BYTES, o.MESSAGE_MAX, o.MIDDLE_US, o.MODELS_MAX,
        o.MODULES, o.MONO_HLSB, o.Master, o.ModbusError, o.NAME, o.NAMES, o.NAMES_MAX, o.NEEDED, o.NIGHT_MV,
        o.NOBODY_ASKS, o.NONE, o.NOON_S, o.NOT_FOUND, o.NOWHERE, o.NO_ROLLBACK, o.NTP_S, o.NUMBERS, o.NVS, o.Network,
        o.Nothing, o.OFF, o.OFFLINE, o.OFFSET_MAX, o.ON, o.ONE_LINE, o.OPEN, o.ORDER, o.OUT, o.OVERCURRENT, o.OnePhase,
        o.Orders, o.P, o.PACKED, o.PACKET_MAX, o.PACKET_SIZE, o.PARITY, o.PARTITIONS, o.PASSES, o.PCT, o.PEM_MAX,
        o.PLAIN, o.PLANS, o.POINT, o.POLL_MS, o.PORTS, o.POWERS, o.PRODUCT, o.PROTOCOL, o.PROTOCOL_TLS_CLIENT,
        o.PULL_DOWN, o.PULL_UP, o.PULSES_MAX, o.PWM, o.PWRON_RESET, o.Panel, o.Partition, o.Pin, o.Port, o.Pulses,
        o.Pwm, o.Pzem, o.QOS_MAX, o.RAILS, o.RAMP_S, o.RANGE, o.RATIOS, o.READERS, o.READINGS_PER_MESSAGE, o.READ_MAX,
        o.READ_MEMORY, o.REASONS, o.RECEIVE_MAX, o.REFERENCE, o.REFRESH_MS, o.REFUSED, o.RESEND_FIRST_MS,
        o.RESEND_JITTER_PCT, o.RESEND_LONGEST_MS, o.RESTARTS_MAX, o.RESTARTS_MS, o.RESTART_MS, o.REST_MG, o.REST_MS,
        o.REST_MV, o.REST_PCT, o.RETRY_MS, o.RMT, o.ROOT_OF_MINUS_1, o.ROUNDS, o.ROW_BYTES, o.RTC, o.Reader, o.Refused,
        o.Ring, o.Roof, o.SAFE_AFTER, o.SAFE_MS, o.SAMPLES, o.SECTOR, o.SERVERS, o.SESSION, o.SESSION_EXPIRY_S,
        o.SETTINGS_BYTES_MAX, o.SETTLED_MS, o.SETUP, o.SETUP_AT, o.SET_POWER_ON, o.SET_SYSTEM_FAILURE, o.SHIFT_MIN,
        o.SHOCK_MG, o.SHOCK_STEPS, o.SHORT_US, o.SHUNT, o.SIZES, o.SIZE_MAX, o.SLEEPING, o.SOCK_DGRAM, o.SOFT_RESET,
        o.SOS_ONLY, o.SOURCE, o.SPACE, o.SPI, o.SSLContext, o.STALE_MS, o.STARTS, o.STATES, o.STATUS, o.STA_IF,
        o.STEADY_MS, o.STEPS, o.STEP_MG, o.STEP_MS, o.STILL_MS, o.STRINGS, o.STUCK_MS, o.SUMS, o.SUNRISE, o.SUNSET,
        o.Sampling, o.Sdm, o.Secrets, o.Sectors, o.Sht3x, o.Snapshot, o.State, o.Supervisor, o.Switch, o.TAKEN_OVER,
        o.TELL_AGAIN_MS, o.TEND_MS, o.TEXAS, o.THRESHOLD, o.TIMED, o.TIMEOUT_S, o.TOO_LARGE, o.TOPIC, o.TOTAL_MAX,
        o.TRIALS, o.TRIAL_MS, o.TRIES, o.TRIPS, o.TROUBLES_MAX, o.TRY_MS, o.TURN_MS, o.TYPE_DATA, o.Text,
        o.TimeoutError, o.UART, o.UNEXPECTED, o.UNLIT_MS, o.USB_OFF, o.UnicodeError, o.Update, o.VERSION, o.WATCHDOG_MS,
        o.WDT, o.WDT_RESET, o.WELL_MS, o.WHO, o.WIDE, o.WIDTH, o.WIFI_OFF, o.WILL_DELAY, o.WILL_DELAY_S, o.WINDOW,
        o.WLAN, o.ZONE, o.__aenter__, o.__aexit__, o.__import__, o._acknowledged, o._add, o._all, o._allocate,
        o._answer, o._answered_ms, o._answers, o._arrived, o._ask, o._ask_time, o._asked_ms, o._backlog, o._base,
        o._beats, o._board, o._body, o._bury, o._byte, o._cause, o._change, o._client, o._clock, o._copied, o._count,
        o._current_a, o._cut, o._differs, o._drain_until, o._expect, o._failures, o._fault, o._faults, o._fetched,
        o._fetching, o._flight, o._guard, o._hear, o._heard, o._inbox, o._last, o._limits, o._live, o._log,
        o._make_room, o._merge, o._message, o._meter, o._more, o._mpy, o._new_head, o._news, o._next_id, o._number,
        o._online, o._open, o._packet_max, o._pinged_ms, o._power_w, o._publish_readings, o._publish_status, o._random,
        o._read, o._reader, o._received_ms, o._recover, o._release, o._renewal, o._rest, o._rest_at, o._ring, o._schema,
        o._send, o._sent_ms, o._serve, o._session, o._session_task, o._settings, o._settle, o._stands, o._state,
        o._states, o._status, o._stopped, o._take, o._taken_in, o._tell, o._thin, o._until_needed, o._utc_at_0,
        o._voltage_v, o._waiting, o._waits, o._wake, o._watchdog, o._whole, o._window, o._write_head, o._writer,
        o._writing, o._written, o.a2b_base64, o.about, o.accept, o.ack, o.acknowledge, o.acknowledged, o.active, o.adc,
        o.add, o.address, o.again, o.again_ms, o.age_s, o.air, o.analogue, o.anchor, o.ano, o.answer, o.apart, o.app,
        o.apply, o.arc, o.arc_of, o.area, o.areas, o.array, o.ask, o.ask_time, o.asyncio, o.at, o.at_least, o.at_start,
        o.atan2, o.atten, o.auxiliary, o.b2a_base64, o.back_of_module, o.bands, o.bank, o.battery, o.baud, o.baudrate,
        o.beat, o.beat_ms, o.before, o.before_ms, o.begin, o.begins, o.believed, o.big, o.binascii, o.bits, o.bits32,
        o.block, o.board, o.bodies, o.body, o.boot, o.boot_max, o.breaker, o.broken, o.burst_ms, o.bus, o.busy, o.by,
        o.byte, o.byte_of, o.cabinet, o.cadata, o.calcsize, o.call, o.came_ms, o.cancel, o.capacity, o.capacity_mah,
        o.cause, o.cert, o.certificates, o.changed, o.channel, o.channels, o.charge_mas, o.charger, o.chars, o.check,
        o.check_head, o.check_of, o.checked, o.chip, o.chores, o.client, o.climate, o.clock, o.clock_offset_ms,
        o.closed, o.closer, o.coarser, o.code, o.command, o.commanded, o.commit, o.compress, o.config, o.confirm,
        o.confirm_image, o.connect, o.connected, o.constants, o.contact, o.contactor, o.content, o.copies, o.counted,
        o.counters, o.counts, o.crc16, o.crc32, o.crc8, o.crc_of, o.create_task, o.cs, o.current_a, o.curve, o.dali,
        o.dali_bus, o.dali_wire, o.dark, o.data, o.date, o.dates, o.datetime, o.day, o.days, o.dc, o.dc_power_w, o.de,
        o.deadband, o.decide, o.decided, o.decimals, o.decode, o.decoded, o.deep_sleep, o.default, o.delattr,
        o.delivered, o.der, o.desired, o.device, o.dial, o.digest, o.disconnect, o.display, o.display_s, o.divided,
        o.do, o.document, o.door, o.door_open, o.double, o.down_s, o.drain, o.drain_ms, o.drawing, o.drawn_ms, o.drive,
        o.drive_pwm, o.drop, o.due_ms, o.dumps, o.dusk, o.duty_u16, o.ed25519, o.element, o.emergency, o.encode,
        o.ended, o.ends, o.energy, o.energy_wh, o.enumerate, o.epaper, o.equipment, o.erase, o.erase_key, o.error,
        o.esp32, o.even, o.event, o.events, o.every_ms, o.every_s, o.expected_ms, o.expired, o.expires, o.expiry_s,
        o.factor, o.failed, o.failed_ms, o.failures, o.fallback, o.false, o.faults, o.feed, o.fetch, o.fields, o.file,
        o.fill, o.filters, o.firmware, o.first, o.flash, o.floating, o.floor, o.floor_pct, o.flush, o.follow, o.forget,
        o.form, o.found, o.found_mg, o.fraction, o.frame, o.frame_of, o.framebuf, o.framed, o.frames, o.free, o.freq,
        o.from_flash, o.from_seq, o.from_ts, o.fromkeys, o.full_mas, o.function, o.gear, o.gear_of, o.generation,
        o.get_blob, o.getaddrinfo, o.getrandbits, o.give_up, o.gmtime, o.guarded, o.guess_permille, o.h, o.hardware,
        o.hashlib, o.have, o.head, o.heard, o.heartbeat, o.heartbeat_ms, o.heartbeat_s, o.held, o.here, o.hexadecimal,
        o.hexed, o.hexlify, o.high, o.highest, o.hit, o.hold_s, o.host, o.hz, o.i, o.i2c, o.idle, o.idle_level,
        o.idle_ms, o.idle_s, o.image, o.implementation, o.in_flight, o.in_head, o.in_slot, o.ina226, o.info, o.interval,
        o.interval_s, o.invalid, o.inverted, o.inverter, o.ioctl, o.irq, o.irradiance, o.is_count, o.is_hex,
        o.is_pending, o.is_set, o.is_signed, o.is_small, o.is_whole, o.isconnected, o.issuer, o.json, o.judge, o.keep,
        o.keep_secret, o.keep_settings, o.keepalive_s, o.kept, o.kept_ms, o.kept_of, o.kept_ports, o.key_at, o.key_seq,
        o.kind, o.known, o.kraj, o.l, o.l1_, o.label, o.lamp, o.lamps, o.last_allocated, o.latch, o.latched, o.later,
        o.leakage, o.leakage_ma, o.lean, o.least_pct, o.leave, o.left, o.length, o.lengths, o.let_go, o.level,
        o.level_of, o.level_pct, o.light, o.light_at, o.light_pct, o.lights, o.limit, o.limit_ma, o.limit_ms, o.linear,
        o.lines, o.link, o.lis3dh, o.listed, o.listen, o.lit_ms, o.live, o.load, o.load_, o.load_cert_chain,
        o.load_verify_locations, o.loader, o.loads, o.local, o.locked, o.log, o.look, o.look_at_ports, o.look_back,
        o.looked_ms, o.lost, o.low, o.lower_ms, o.ma, o.machine, o.made, o.magic, o.make, o.malformed, o.manifest,
        o.manual, o.mark, o.mark_app_valid_cancel_rollback, o.master, o.mastered, o.math, o.max, o.memory, o.memoryview,
        o.merged, o.meter, o.metered, o.meters, o.millivolts, o.min, o.minute, o.minutes, o.missed, o.missing, o.mlx,
        o.modbus, o.models, o.modules, o.more, o.mosi, o.most, o.motion, o.motion_ms, o.motion_s, o.moved, o.moved_ms,
        o.moving, o.mqtt, o.ms, o.mv, o.n, o.name, o.named, o.ne, o.needed, o.net_ma, o.network, o.new, o.newest,
        o.next_seq, o.night, o.node, o.nonce, o.none, o.note, o.nothing, o.now, o.now_ms, o.ntp, o.number,
        o.number_property, o.numbers, o.nvs, o.obey, o.odd, o.of, o.of_single, o.of_sun, o.off, o.offset, o.offset_min,
        o.offset_ms, o.ok, o.older, o.on, o.on_ms, o.one, o.online, o.open_connection, o.open_kind, o.open_link,
        o.open_ring, o.opened, o.order, o.orders, o.other, o.out, o.output, o.outputs, o.over, o.overdue, o.owed, o.own,
        o.p256, o.pack, o.pack_plan, o.packed, o.packet, o.pair, o.panel, o.parity, o.parsed, o.part, o.partition,
        o.parts, o.password, o.pause_ms, o.payload, o.pct, o.pct_of, o.peak_mg, o.pem, o.pending, o.per_v, o.permille,
        o.phases, o.photocell, o.pin, o.pins, o.place, o.place_of, o.places, o.plan, o.plan_of, o.plans, o.plausible,
        o.point, o.poll, o.polled, o.port, o.ports, o.power, o.power_on, o.power_w, o.prepare, o.prepared, o.prime,
        o.primes, o.print_exception, o.product, o.program, o.programs, o.properties, o.property, o.public, o.publish,
        o.pulses, o.put, o.pv_power_w, o.pwm, o.pzem, o.question, o.r, o.rail, o.rail_, o.raised_pct, o.ramp, o.random,
        o.ranges, o.raw, o.read_of, o.read_uv, o.read_varint, o.read_zigzag, o.readblocks, o.reader, o.readfrom,
        o.readfrom_mem, o.reading, o.readings, o.ready, o.reason, o.reasons, o.reconnect, o.record, o.recv, o.refused,
        o.register, o.registers, o.relay, o.release, o.renew, o.renewal, o.reported, o.rescale, o.resend, o.resent,
        o.reset, o.reset_cause, o.resolution_hz, o.rest, o.rest_until, o.restless, o.result, o.resumed, o.retain,
        o.ring, o.rise, o.rmt, o.roof, o.roofs, o.room, o.roots, o.rssi, o.rst, o.run, o.run_update, o.running,
        o.runtime, o.rx, o.rx_rest, o.rxbuf, o.s, o.safe, o.safe_mode, o.said, o.said_pct, o.sample, o.sampled,
        o.sampled_ms, o.sampling, o.say, o.scaled, o.scan, o.schemas, o.sck, o.scl, o.sda, o.sdm, o.seconds, o.secret,
        o.secrets, o.sector, o.sectors, o.seen, o.seen_at, o.sendto, o.sensor, o.sent, o.sent_ms, o.seq, o.serial,
        o.server_hostname, o.servers, o.sessions, o.set_blob, o.set_level, o.set_pct, o.setblocking, o.settings,
        o.settled, o.sha256, o.sha512, o.shared, o.shed, o.shedding, o.shock, o.shock_g, o.short, o.show, o.shown,
        o.shown_ms, o.sht3x, o.shunt_uohm, o.signature, o.signed, o.signed_by, o.signed_size, o.silent, o.since_key,
        o.since_ms, o.size, o.sleep_ms, o.slot, o.snapshot, o.sntp, o.soc_permille, o.socket, o.software, o.solar,
        o.sos, o.span, o.spi, o.sqrt, o.ssl, o.start_of, o.state, o.station, o.status, o.step_s, o.steps, o.store,
        o.string, o.strings, o.struct, o.subject, o.subscribe, o.suffix, o.sun, o.sunspec, o.supervisor, o.switch,
        o.switch_off, o.switch_on, o.switched, o.switches, o.sys, o.table, o.take, o.take_safe_mode, o.take_update,
        o.taken, o.tasks, o.telemetry, o.tell, o.tend, o.text, o.thinned, o.ticks_diff, o.ticks_ms, o.ticks_us, o.tilt,
        o.tilt_deg, o.time, o.time_pulse_us, o.timeout, o.timeout_ms, o.timeout_s, o.times, o.to, o.to_flash, o.to_seq,
        o.to_ts, o.to_utc_s, o.told, o.told_motion_ms, o.topic, o.trial, o.tried, o.tries, o.tripped, o.trips,
        o.trouble, o.troubles, o.true, o.trying, o.ts_ms, o.turn, o.two, o.tx, o.uart, o.unanswered, o.unhexlify,
        o.unit, o.units, o.unknown, o.unpack, o.unpack_from, o.unpack_plan, o.unsubscribe, o.until, o.up, o.up_s,
        o.upright, o.upright_mg, o.uptime_ms, o.uptime_s, o.usb, o.usb1_state, o.usb2_state, o.usb3_state, o.usb4_state,
        o.utc_ms, o.utc_s, o.value_of, o.varint, o.vedirect, o.verify, o.verify_mode, o.version, o.version_of,
        o.voltage_v, o.vouch, o.wait, o.wait_closed, o.wait_for, o.waiting, o.waits, o.wake, o.wall_s, o.wanted,
        o.wanted_ms, o.watch, o.watchdog, o.water, o.what, o.which, o.whole, o.why, o.width, o.wifi, o.wifi_up, o.will,
        o.window, o.wiring, o.wirings, o.wlan, o.word, o.words, o.write_pulses, o.writeblocks, o.writer, o.writeto,
        o.writeto_mem, o.wrong, o.yes, o.zero_mv, o.zigzag, o.zone,
        '\x00',
        ' %',
        ' bytes',
        '!II',
        '"',
        '":',
        '"boot":',
        '"channel":',
        '"event":',
        '"seq":',
        '"ts":',
        ',',
        ', ',
        '-',
        '.',
        '0',
        '20',
        ':',
        ': ',
        ': no ',
        '; known: ',
        '<',
        '<2sBBIHH',
        '<B',
        '<BH',
        '<BHHH',
        '<BIIB',
        '<BhBH',
        '<H',
        '<HBHB',
        '<HH',
        '<HHH',
        '<I',
        '<dictcomp>',
        '<genexpr>',
        '<h',
        '<hhBHHh',
        '<lambda>',
        '<listcomp>',
        '<qh',
        '?',
        'Baterie  ',
        'QoS {}',
        'USB      ',
        'WiFi     ',
        'code_{}',
        'cut short',
        'inverter ',
        'kraj-node',
        'mpy {}',
        'no INA226',
        'no LIS3DH',
        'no SunSpec',
        'no object',
        'no room: ',
        'no time',
        'node.',
        'node.app',
        'node.dali',
        'node.kinds',
        'node.link',
        'node.mqtt',
        'node.p256',
        'node.ring',
        'node.scale',
        'node.sht3x',
        'node.sntp',
        'node.state',
        'part ',
        'safe mode',
        'stalled ',
        'too large',
        'unit ',
        '{',
        '{}: {}: {}',
        '}',
    )
