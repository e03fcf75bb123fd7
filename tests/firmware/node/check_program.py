# Under CPython and MicroPython: the program against vectors.json; what differs, and how much was checked.
import json

import program

with open("vectors.json") as file:
    vectors = json.load(file)
wrong = count = 0
for vector in vectors["levels"]:
    for utc_s, level in vector["cases"]:
        count += 1
        found = program.level_pct(vector["program"], utc_s)
        if found != level:
            wrong += 1
            print(vector["title"], utc_s, "expected", level, "found", found)
for case in vectors["decisions"]:
    count += 1
    document = None if case["program"] is None else vectors["levels"][case["program"]]["program"]
    found = list(program.decide(document, case["utc_s"], case["uptime_s"], case["orders"], case["dark"]))
    if found != case["expected"]:
        wrong += 1
        print(case["title"], "expected", case["expected"], "found", found)
print("checked", count, "wrong", wrong)
