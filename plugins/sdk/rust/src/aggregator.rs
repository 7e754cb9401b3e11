//! Sums, counts and sketches over windows of event time: see [`Aggregator`].

use crate::window_bindings::exports::weir::window::aggregation::{Timing, Window};
use crate::{Error, Message, Outputs};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The arithmetic of windows. The host assigns messages to windows, keeps an accumulator for each key and window,
/// and says when one is emitted: the operator's `window:` in the pipeline file decides that.
///
/// ```
/// use weir_sdk::{Aggregator, Error, Message, Output, Outputs, Pane};
///
/// /// How much was sold.
/// struct Sales;
///
/// impl Aggregator for Sales {
///     type Config = ();
///     type Accumulator = f64;
///
///     fn configure((): ()) -> Result<Self, String> {
///         Ok(Self)
///     }
///
///     fn add(&self, sum: &mut f64, message: &Message) -> Result<(), Error> {
///         *sum += message.json::<f64>()?; // no number: a dead letter that says why
///         Ok(())
///     }
///
///     fn merge(&self, left: f64, right: f64) -> Result<f64, Error> {
///         Ok(left + right)
///     }
///
///     fn emit(&self, _: &Pane, sum: f64) -> Result<Outputs, Error> {
///         Ok(Output::json(&sum)?.into())
///     }
/// }
///
/// weir_sdk::export_aggregator!(Sales);
/// # let sales: Sales = weir_sdk::testing::aggregator(&()).unwrap();
/// # let mut sum = sales.merge(0.0, 2.5).unwrap();
/// # sales.add(&mut sum, &Message::new("sales", "4")).unwrap();
/// # let pane = Pane::new("berlin", 0..60_000_000_000);
/// # assert_eq!(sales.emit(&pane, sum), Ok(Output::new("6.5").into()));
/// ```
///
/// Results must not depend on how messages were grouped. So `merge` is associative, and merging two accumulators
/// is the same as adding the messages of both to one. What `self` holds is a cache: the host may replace the
/// instance between any two calls.
///
/// There is no retry here: an [`Error::retry`] is a rejection like any other. A message that is rejected becomes a
/// dead letter, and the others of its window count.
pub trait Aggregator: Sized + 'static {
    /// As [`Operator::Config`](crate::Operator::Config).
    type Config: DeserializeOwned;

    /// What is kept of the messages of a key in a window; the default stands for no messages. Any type that serde reads
    /// and writes is kept as JSON. A later version of the plugin must be able to read it.
    type Accumulator: Accumulator;

    /// As [`Operator::configure`](crate::Operator::configure).
    ///
    /// # Errors
    /// What is wrong with the configuration, in words for its author: name the field.
    fn configure(config: Self::Config) -> Result<Self, String>;

    /// Takes a message into the accumulator of its key and window.
    ///
    /// # Errors
    /// The message becomes a dead letter with this reason.
    fn add(&self, accumulator: &mut Self::Accumulator, message: &Message) -> Result<(), Error>;

    /// Joins two accumulators of a key: `left` is of the earlier part of the window.
    ///
    /// # Errors
    /// The message or the window for which it was called becomes a dead letter with this reason.
    fn merge(
        &self,
        left: Self::Accumulator,
        right: Self::Accumulator,
    ) -> Result<Self::Accumulator, Error>;

    /// The results of a window. What an output leaves out is empty, but for the key, which is the pane's; the
    /// host adds headers that name the window.
    ///
    /// # Errors
    /// As [`merge`](Self::merge).
    fn emit(&self, pane: &Pane, accumulator: Self::Accumulator) -> Result<Outputs, Error>;
}

/// What is kept of messages between two calls, as bytes. A type that serde reads and writes needs nothing: it is JSON. For
/// a shorter form, implement this for a type that serde does not write.
pub trait Accumulator: Default {
    /// What [`write`](Self::write) of this version or an earlier one has written. Empty bytes are not read: they stand for
    /// the default.
    ///
    /// # Errors
    /// The message or the window for which it was read becomes a dead letter with this reason.
    fn read(bytes: Vec<u8>) -> Result<Self, Error>;

    /// The bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn write(self) -> Result<Vec<u8>, Error>;
}

impl<T: Serialize + DeserializeOwned + Default> Accumulator for T {
    fn read(bytes: Vec<u8>) -> Result<Self, Error> {
        serde_json::from_slice(&bytes)
            .map_err(|cause| Error::reject(format!("cannot read the accumulator as JSON: {cause}")))
    }

    fn write(self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(&self).map_err(|cause| {
            Error::reject(format!("cannot write the accumulator as JSON: {cause}"))
        })
    }
}

/// One result of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pane {
    /// That of the messages, and "" if they have none.
    pub key: String,
    /// Nanoseconds since the Unix epoch, the end excluded.
    pub window: Window,
    /// Whether it comes before the end of the window, at it, or after it.
    pub timing: Timing,
    /// How many panes of the window came before.
    pub index: u32,
}

impl Pane {
    /// The only pane of a window, for tests.
    pub fn new(key: impl Into<String>, window: std::ops::Range<i64>) -> Self {
        Self {
            key: key.into(),
            window: Window {
                start: window.start,
                end: window.end,
            },
            timing: Timing::OnTime,
            index: 0,
        }
    }
}

impl Timing {
    /// As the header `Weir-Pane` has it: `early`, `on-time` or `late`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::OnTime => "on-time",
            Self::Late => "late",
        }
    }
}
