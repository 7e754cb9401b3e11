//! Reads the values of a key backwards: the last value before a name.

use super::overlay::Overlay;
use super::row::{Address, Kind, Row};
use super::values::Named;
use super::{Operator, Refused, State};

impl State {
    /// The last value of a key whose name is before the name `before` and begins with `prefix`.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`] and [`Refused::Format`].
    pub fn last_before<'a>(
        &'a self,
        operator: Operator,
        key: &[u8],
        prefix: &[u8],
        before: &[u8],
    ) -> Result<Option<Named<'a>>, Refused> {
        let from = self.address(operator, Kind::Value, key, prefix)?;
        let upto = self.address(operator, Kind::Value, key, before)?;
        if before <= prefix {
            return Ok(None);
        }
        let rows = self.rows_back(from, upto);
        let mut rows = rows.filter_map(|row| Some((row.address().name, row.live_in(self.now)?)));
        let found = rows.find(|(name, _)| name.starts_with(prefix));
        let found = found.map(|(name, value)| Ok((name, self.read(value)?)));
        found.transpose()
    }

    /// The uppermost rows from an address on and before another one of the same group, the last one first: some say
    /// that there is none, or have expired.
    fn rows_back<'a>(
        &'a self,
        from: Address<'_>,
        upto: Address<'_>,
    ) -> impl Iterator<Item = &'a Row> + use<'a> {
        let layer = |layer: Option<&'a Overlay>| {
            let rows = layer.map(|layer| layer.back(&from, &upto));
            rows.into_iter().flatten().peekable()
        };
        let (mut overlay, mut in_flight) =
            (layer(Some(&self.overlay)), layer(self.in_flight.as_ref()));
        let mut store = self.store.back(&from, &upto).peekable();
        std::iter::from_fn(move || {
            let heads = [store.peek(), in_flight.peek(), overlay.peek()];
            // Of equal ones this is the last: the uppermost.
            let greatest: &Row = heads.into_iter().flatten().max()?;
            overlay.next_if(|row| *row == greatest);
            in_flight.next_if(|row| *row == greatest);
            store.next_if(|row| *row == greatest);
            Some(greatest)
        })
    }
}
