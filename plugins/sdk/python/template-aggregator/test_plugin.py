"""`python3 -m unittest`: the plugin's functions, without WebAssembly and without a host."""

import sys
import unittest

sys.path.insert(0, "sdk")

import weir
from plugin import Plugin, Sum
from weir import Message, Output, Pane


class Readings(unittest.TestCase):
    def setUp(self) -> None:
        self.plugin = Plugin({"limit": 30})

    def sum(self, *payloads: bytes) -> Sum:
        sum = self.plugin.empty()
        for payload in payloads:
            sum = self.plugin.add(sum, Message("readings.attic", payload))
        return sum

    def test_a_minute_has_the_mean_of_its_readings(self) -> None:
        both = self.plugin.merge(self.sum(b'{"celsius":29}'), self.sum(b'{"celsius":32}'))
        minute = Output(b'{"mean":30.5,"readings":2,"hot":1}')
        self.assertEqual(self.plugin.emit(Pane("attic", 0, 60_000_000_000), both), minute)

    def test_what_is_no_reading_is_rejected(self) -> None:
        with self.assertRaises(weir.Reject):
            self.sum(b"not JSON")


if __name__ == "__main__":
    unittest.main()
