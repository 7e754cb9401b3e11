"""`python3 -m unittest`: the plugin's functions, without WebAssembly and without a host."""

import sys
import unittest

sys.path.insert(0, "sdk")

import weir
from plugin import Plugin
from weir import Message, Output


class Readings(unittest.TestCase):
    def setUp(self) -> None:
        self.plugin = Plugin({"limit": 30})

    def test_a_reading_above_the_limit_is_an_alert(self) -> None:
        message = Message("readings.attic", b'{"sensor":"attic","celsius":31.5}')
        alert = Output(b'{"sensor":"attic","above_limit":1.5}')
        self.assertEqual(self.plugin.process(message), alert)

    def test_a_reading_below_it_is_dropped(self) -> None:
        message = Message("readings.attic", b'{"sensor":"attic","celsius":30}')
        self.assertIsNone(self.plugin.process(message))

    def test_what_is_no_reading_is_rejected(self) -> None:
        with self.assertRaises(weir.Reject):
            self.plugin.process(Message("readings.attic", b"not JSON"))


if __name__ == "__main__":
    unittest.main()
