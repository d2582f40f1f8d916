"""Writes schedules for `go test -run TestSchedulesOf`, and compares the slots it answers with those of croniter and of Airflow.

  schedules.py write FILE [--seed N] [--expressions N] [--year N]
  schedules.py compare FILE

croniter is asked on a clock without a zone; when each wall time comes is then found with zoneinfo, by the rules that the
doc comment of workflow.Schedule states. Our slots must be just those, and the start of each interval the slot before.

Airflow's timetable steps from slot to slot, and is known to differ near a change of the clock: every slot that only one of both has must
lie, between the common slots before and after it, with a change of the zone's offset; elsewhere both are the same.
"""

import argparse
import bisect
import datetime
import functools
import json
import random
import sys
import zoneinfo

from croniter import CroniterBadDateError, croniter

ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca"]
PRESETS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@quarterly": "0 0 1 */3 *", "@yearly": "0 0 1 1 *"}
HARD = [
    *PRESETS, "@midnight", "@annually",
    "30 2 * * *", "*/30 2 * * *", "0 2,3 * * *", "*/20 1 * * *", "15,40 2 * * *", "*/15 * * * *", "*/7 * * * *", "0 */2 * * *", "0 0-22 * * *",
    "0 * * * 1-5", "30 * 1 * *", "45 * * * 0", "59 23 31 12 *", "0 0 29 2 *", "0 0 31 * *", "0 0 L * *", "0 0 1,L * 5", "0 0 13 * 5",
    "0 0 */2 * 1", "0 0 15 * */1", "0 0 */5 * 0-6", "0 0 1-31 * */2", "0 0 *,5 * 1", "0 0 ? * 1", "0 0 * * 5-7", "0 0 * * 7-2", "0 0 * * 1-7/2", "0 0 * * 0-7/2",
    "0 0 * * fri-mon", "0 22-2 * * *", "50-10 * * * *", "0 0 25-5 * *", "0 0 1 nov-feb *", "0 0 * * mon-fri#2", "0 0 * * 0#1,7#2", "0 0 * * 5#5", "0 0 * * L5",
    "0 0 * * l5,l1", "0 0 10-L/3 * *", "59/15 * * * *", "5/20 3/5 * 2/3 3/2", "0 0 30 2 *", "00 007 * * *", "0 0 1 JAN,jul SUN",
]  # fmt: skip
REFUSED = [  # by both
    "", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "-1 * * * *", "+5 * * * *", "1, * * * *",
    "0 0 L/2 * *", "0 0 * * 1#6", "0 0 1#1 * *", "0 59/15 * * *", "0 0 * * L", "x * * * *", "* * * mon *", "٣ * * * *", "@never",
]  # fmt: skip


def an_expression(r):
    def many(lo, hi):
        items = []
        for _ in range(r.randint(1, 3)):
            a = r.randint(lo, hi - 1)
            b = r.randint(a + 1, hi)
            items.append(r.choice([f"{a}", f"{a}", f"{a}-{b}", f"{a}-{b}/{r.randint(1, 5)}", f"{a}/{r.randint(1, hi - lo)}", f"*/{r.randint(1, hi - lo)}"]))
        return ",".join(items)

    week = r.choice(["*", "*", "*", "0", "1-5", "6-7", "sat,sun", many(0, 6), f"{r.randint(0, 6)}#{r.randint(1, 5)}", f"L{r.randint(0, 6)}"])
    day = "*" if "#" in week or "L" in week else r.choice(["*", "*", "L", "*/2", "15,L", many(1, 31)])
    return " ".join([
        r.choice(["0", "30", "*/15", "*/20", many(0, 59)]),
        r.choice(["*", "*", "1", "2", "3", "1-3", "2,3", "0", "23", "*/2", "*/3", many(0, 23)]),
        day,
        r.choice(["*", "*", "*", "3,4,10,11", "*/2", many(1, 12)]),
        week,
    ])  # fmt: skip


def write(file, seed, expressions, year):
    r = random.Random(seed)
    texts = HARD + [an_expression(r) for _ in range(expressions)]
    at = [int(datetime.datetime(y, 1, 1, tzinfo=datetime.timezone.utc).timestamp()) for y in (year, year + 1)]
    with open(file, "w") as out:
        for text in texts:
            for zone in ZONES:
                out.write(json.dumps({"text": text, "zone": zone, "from": at[0], "to": at[1]}) + "\n")
        for text in REFUSED:
            out.write(json.dumps({"text": text, "zone": "UTC", "from": at[0], "to": at[1]}) + "\n")


@functools.lru_cache(maxsize=4)
def wall_times(text, start, end):
    """Those of croniter, on a clock without a zone."""
    times, it = [], croniter(PRESETS.get(text, text), start - datetime.timedelta(minutes=1))
    try:
        while (at := it.get_next(datetime.datetime)) < end:
            times.append(at)
    except CroniterBadDateError:
        pass
    return times, it.expanded[1] == ["*"]


def instants(wall, zone, every_hour):
    """When a wall time comes: in seconds since 1970."""
    first, second = (int(wall.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    back = datetime.datetime.fromtimestamp(first, zone).replace(tzinfo=None)
    if back != wall:  # it does not exist: by the offset before, as PEP 495 has it for fold=0
        return [first]
    return [first, second] if every_hour else [second]


def changes(zone, start, end):
    """Hours in which the zone's offset changes."""
    offset = lambda at: datetime.datetime.fromtimestamp(at, zone).utcoffset()
    return [at for at in range(start, end, 3600) if offset(at) != offset(at + 3600)]


def windows(q, changed, slots):
    """What Airflow is asked for: the year, or, since it takes 0.2 ms a slot, where there are many the days around each change."""
    if slots <= 400:
        return [(q["from"], q["to"])]
    around = 86400 * (3 if slots <= 10000 else 1)
    return [(max(c - around, q["from"]), min(c + around, q["to"])) for c in changed if q["from"] <= c < q["to"]]


def airflow_slots(timetable, start, end):
    import pendulum

    at, slots = timetable._get_prev(timetable._get_prev(pendulum.from_timestamp(start))), []
    while (at := timetable._get_next(at)).timestamp() < end:
        if at.timestamp() >= start:
            slots.append(int(at.timestamp()))
    return slots


def unexplained(ours, theirs, changed, start, end):
    """The slots that only one has and no change of the clock explains, and the number of those that one does. Minutes that the
    clock jumps over come up to two hours after the change."""
    if ours == theirs:
        return [], 0
    common = sorted(set(ours) & set(theirs))
    odd, explained = [], 0
    for slot in sorted(set(ours) ^ set(theirs)):
        i = bisect.bisect(common, slot)
        before = common[i - 1] if i else start - 86400 * 40
        after = common[i] if i < len(common) else end
        if any(before <= c + 3 * 3600 and c <= after for c in changed):
            explained += 1
        else:
            odd.append(slot)
    return odd, explained


def compare(file):
    try:
        from airflow.timetables.interval import CronDataIntervalTimetable as timetable
    except ImportError:
        timetable = None
    passed, failed, slots, differ = 0, 0, 0, {}
    changed = {}
    with open(file) as asked, open(file + ".out") as answered:
        for line, answer in zip(asked, answered, strict=True):
            q, a = json.loads(line), json.loads(answer)
            text, zone, faults = q["text"], zoneinfo.ZoneInfo(q["zone"]), []
            try:
                day = datetime.timedelta(days=2)
                begin, end = (datetime.datetime.fromtimestamp(q[k], datetime.timezone.utc).replace(tzinfo=None) for k in ("from", "to"))
                walls, every_hour = wall_times(text, begin - day, end + day)
            except (ValueError, KeyError) as e:
                if "refused" not in a:
                    faults.append(f"croniter refuses it: {e}")
                walls = None
            if walls is not None and "refused" in a:
                faults.append(f"refused: {a['refused']}")
            elif walls is not None:
                ours = a["slots"] or []
                slots += len(ours)
                expected = sorted({at for wall in walls for at in instants(wall, zone, every_hour) if q["from"] <= at < q["to"]})
                if ours != expected:
                    faults.append(f"differs from croniter: {[when(t, zone) for t in sorted(set(ours) ^ set(expected))[:6]]}")
                if (a["starts"] or [])[1:] != ours[:-1]:
                    faults.append("an interval does not begin with the slot before")
                if timetable and walls:
                    key = q["zone"]
                    if key not in changed:
                        changed[key] = changes(zone, q["from"] - 86400 * 40, q["to"])
                    odd = explained = 0
                    for start, stop in windows(q, changed[key], len(ours)):
                        theirs = airflow_slots(timetable(text, key), start, stop)
                        more, by = unexplained([t for t in ours if start <= t < stop], theirs, changed[key], start, stop)
                        odd, explained = (odd or []) + more, explained + by
                    if explained:
                        differ.setdefault(text, []).append(f"{key} {explained}")
                    if odd:
                        faults.append(f"differs from Airflow: {[when(t, zone) for t in odd[:6]]}")
            for f in faults:
                print(f"FAILED: {text!r} in {q['zone']}: {f}")
            passed, failed = passed + (not faults), failed + bool(faults)
    for text, zones in differ.items():
        print(f"  Airflow differs at a change of the clock: {text:24} slots: {', '.join(zones)}")
    print(f"{slots} slots; compared with croniter{' and Airflow' if timetable else ', without Airflow'}; Airflow differs at changes of the clock for {len(differ)} expressions")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def when(at, zone):
    return datetime.datetime.fromtimestamp(at, zone).isoformat(timespec="minutes")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("do", choices=["write", "compare"])
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--expressions", type=int, default=120)
    parser.add_argument("--year", type=int, default=2025)
    args = parser.parse_args()
    if args.do == "compare":
        return compare(args.file)
    return write(args.file, args.seed, args.expressions, args.year)


sys.exit(main())
