"""A target of the fuzzer that breaks every promise, one a case."""

import os
import signal
import time

import numpy as np

from ifrp_tf.core.errors import DataError

KINDS = ("success", "refused", "escaped", "crash", "hang", "slow", "memory", "success")


class Broken:
    seconds, memory = 0.5, 64 * 2**20

    def make(self, chance):
        return {"kind": chance.choice(KINDS).encode()}

    def run(self, case):
        match case["kind"].decode():
            case "refused":
                raise DataError("Expected better. Received: this.")
            case "escaped":
                raise KeyError("not of the family")
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hang":
                while True:
                    pass
            case "slow":
                end = time.process_time() + 0.6
                while time.process_time() < end:
                    pass
            case "memory":
                taken = np.zeros(96 * 2**20, np.uint8)
                taken[::4096] = 1  # a page is taken when it is touched
        return "success"
