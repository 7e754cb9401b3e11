"""`python3 -m unittest`: the plugin's function, without WebAssembly and without a host."""

import sys
import unittest

sys.path.insert(0, "../../../plugins/sdk/python")

import weir
from plugin import latest
from weir import Message, testing


class Bids(unittest.TestCase):
    def setUp(self) -> None:
        testing.clear_state()

    def bid(self, time: int, extra: str, key: str = "1000-1001") -> weir.Outputs:
        payload = b'{"extra":"%s"}' % extra.encode()
        return latest(Message("nexmark.bid", payload, key=key, event_time=time))

    def test_a_bid_is_a_result_if_it_is_the_latest_of_its_key(self) -> None:
        self.assertEqual(self.bid(5, "b"), weir.PASS)
        self.assertIsNone(self.bid(4, "a"))
        self.assertEqual(self.bid(4, "a", key="1000-1002"), weir.PASS)
        self.assertEqual(self.bid(6, "z"), weir.PASS)

    def test_of_the_same_time_the_lesser_extra_is_the_latest(self) -> None:
        self.assertEqual(self.bid(5, "b"), weir.PASS)
        self.assertIsNone(self.bid(5, "c"))
        self.assertIsNone(self.bid(5, "b"))
        self.assertEqual(self.bid(5, "a"), weir.PASS)


if __name__ == "__main__":
    unittest.main()
