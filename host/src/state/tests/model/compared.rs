//! Everything that can be read of a state is what its model says.

use super::*;

impl Pair {
    /// Everything that can be read is what the model says.
    pub(super) fn compare(&self) {
        let view = self.current.at(self.now);
        for (operator, index) in
            (1..3).flat_map(|operator| (0..KEYS).map(move |key| (operator, key)))
        {
            let bytes = key(index);
            for (name, found) in NAMES.iter().enumerate() {
                let value = self
                    .state
                    .get(Operator(operator as u16), &bytes, found)
                    .unwrap();
                assert_eq!(value, view.get((operator, index, name), self.now));
            }
            for (prefix, after) in [
                (0, None),
                (1, None),
                (1, Some(1)),
                (0, Some(2)),
                (3, Some(0)),
                (1, Some(4)),
            ] {
                let (prefix, after) = (NAMES[prefix], after.map(|after: usize| NAMES[after]));
                let found = self
                    .state
                    .scan(Operator(operator as u16), &bytes, prefix, after)
                    .unwrap();
                let found: Vec<_> = found
                    .map(|value| value.unwrap())
                    .map(|(name, value)| (name.to_vec(), value.to_vec()))
                    .collect();
                let expected = NAMES.iter().enumerate().filter(|(_, name)| {
                    name.starts_with(prefix) && after.is_none_or(|after| **name > after)
                });
                let expected = expected.filter_map(|(name, bytes)| {
                    Some((
                        bytes.to_vec(),
                        view.get((operator, index, name), self.now)?.to_vec(),
                    ))
                });
                assert_eq!(found, expected.collect::<Vec<_>>());
            }
            for (prefix, before) in [(0, 4), (1, 4), (1, 2), (3, 4), (2, 1), (0, 0)] {
                let (prefix, before) = (NAMES[prefix], NAMES[before]);
                let state = &self.state;
                let last = state.last_before(Operator(operator as u16), &bytes, prefix, before);
                let is_such = |name: &&[u8]| name.starts_with(prefix) && **name < *before;
                let such = NAMES.iter().enumerate().filter(|(_, name)| is_such(name));
                let such = such.filter_map(|(name, bytes)| {
                    Some((*bytes, view.get((operator, index, name), self.now)?))
                });
                assert_eq!(last.unwrap(), such.max());
            }
        }
        for clock in [Clock::EventTime, Clock::ProcessingTime] {
            let due = self.state.due(clock, u64::MAX, usize::MAX).into_iter();
            let mut due: Vec<u64> = due.map(|(at, _)| at).collect();
            let timers = view.timers.values().filter(|timer| timer.0 == clock);
            let mut expected: Vec<u64> = timers.map(|timer| timer.1).collect();
            due.sort();
            expected.sort();
            assert_eq!(due, expected);
            assert_eq!(self.state.next_due(clock), expected.first().copied());
        }
        self.compare_usage();
    }

    /// What is counted is what is there.
    fn compare_usage(&self) {
        let mut rows: BTreeMap<&Row, &Row> = BTreeMap::new();
        let start = |group| Address {
            place: Place::first_of(group),
            key: b"",
            name: b"",
        };
        let stored = few()
            .iter()
            .flat_map(|group| self.state.store.from(&start(group)));
        rows.extend(stored.map(|row| (row, row)));
        let values = rows.values().filter(|row| row.kind() == Kind::Value);
        let keys: BTreeSet<_> = values
            .map(|row| (row.operator(), row.address().key))
            .collect();
        assert_eq!(self.state.store.usage().keys as usize, keys.len());
        let overlay = &self.state.overlay;
        let bytes = overlay.rows().map(|row| row.bytes().len());
        assert_eq!(overlay.bytes(), bytes.sum::<usize>());
        let is_host = |row: &Row| row.operator() == Operator::HOST;
        assert_eq!(overlay.has_host(), overlay.rows().any(is_host));
        let layers = self.state.in_flight.iter().chain([overlay]);
        for row in layers.flat_map(Overlay::rows) {
            rows.remove(row);
            rows.insert(row, row);
        }
        let rows: Vec<&&Row> = rows.values().filter(|row| !row.is_deleted()).collect();
        let usage = self.state.usage();
        assert_eq!(usage.rows as usize, rows.len());
        assert_eq!(usage.bytes, rows.iter().map(|row| row.cost()).sum::<u64>());
        let by_group = few()
            .iter()
            .map(|group| self.state.group_usage(group))
            .map(|usage| [usage.keys, usage.bytes]);
        let by_group = by_group.fold([0, 0], |sum, usage| [sum[0] + usage[0], sum[1] + usage[1]]);
        let whole = self.state.store.usage();
        assert_eq!(by_group, [whole.keys, whole.bytes]);
    }
}
