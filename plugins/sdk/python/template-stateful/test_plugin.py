"""`python3 -m unittest`: the plugin's functions, without WebAssembly and without a host."""

import sys
import unittest

sys.path.insert(0, "sdk")

import weir
from plugin import IS_HOT, Plugin
from weir import Message, Output, testing


class Readings(unittest.TestCase):
    def setUp(self) -> None:
        testing.clear_state()
        self.plugin = Plugin({"limit": 30})

    def read(self, payload: bytes) -> weir.Outputs:
        return self.plugin.process(Message("readings.attic", payload, key="attic"))

    def test_a_sensor_is_hot_once_and_silent_in_the_end(self) -> None:
        self.assertEqual(self.read(b'{"celsius":31.5}'), Output(b'{"above_limit":1.5}'))
        self.assertIsNone(self.read(b'{"celsius":33}'))
        [due] = testing.take_timers()
        self.assertEqual(self.plugin.on_timer(due), Output(b'{"silent_minutes":10}'))
        self.assertIsNone(IS_HOT.get("attic"))

    def test_what_is_no_reading_is_rejected(self) -> None:
        with self.assertRaises(weir.Reject):
            self.read(b"not JSON")


if __name__ == "__main__":
    unittest.main()
