"""What every test costs in CPU seconds, its children's included: wall times say little beside other work."""

import resource
from collections import Counter

import pytest

BEGUN = pytest.StashKey[float]()
SHOWN = 40


def spent() -> float:
    """CPU seconds of this process and of its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    item.stash[BEGUN] = spent()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "teardown":
        report.user_properties.append(("cpu_seconds", spent() - item.stash[BEGUN]))
    return report


def pytest_terminal_summary(terminalreporter):
    tests, files = Counter(), Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "cpu_seconds" and report.when == "teardown":
                    tests[report.nodeid] += value
                    files[report.nodeid.split("::")[0]] += value
    terminalreporter.section(f"CPU seconds: {sum(tests.values()):.0f}")
    for title, costs in (("tests", tests), ("files", files)):
        terminalreporter.write_line(f"the costliest {title}")
        for name, value in costs.most_common(SHOWN):
            terminalreporter.write_line(f"{value:8.1f} {name}")
