//! Does what the payload says, for the tests of isolation and of the dead letters.
//!
//! The payload is `VERB` or `VERB:ARGUMENT`; whatever is no verb of the table in [`obey`] is passed
//! on as it came. Behind a number there may be `/` and a text, by which the test knows the message. `short` and `long` anywhere in a batch spoil the length of the whole answer; `batch`
//! becomes the messages and the bytes of the batch that it came in.
//!
//! Configuration: `refuse: REASON` makes `configure` fail, `trap: true` makes it trap,
//! `spin: true` makes it never return, and `mark: X`
//! adds the header `Mark: X` to everything that is passed on.

use std::hint::black_box;
use std::time::{Duration, Instant};
use weir_sdk::{Error, Message, Operator, OrFail, Outcome, Output, Outputs, config, info, metrics};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Config {
    refuse: Option<String>,
    trap: bool,
    spin: bool,
    mark: Option<String>,
}

struct Misbehave {
    mark: Option<String>,
    leaked: Vec<Vec<u8>>,
    calls: u64,
    /// Messages of the batch at hand, and bytes of their payloads and headers.
    batch: (usize, usize),
}

impl Operator for Misbehave {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if config.trap {
            trap();
        }
        if config.spin {
            spin();
        }
        match config.refuse {
            Some(reason) => Err(reason),
            None => Ok(Self {
                mark: config.mark,
                leaked: Vec::new(),
                calls: 0,
                batch: (0, 0),
            }),
        }
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let text = std::str::from_utf8(&message.payload).unwrap_or_default();
        let (verb, argument) = text.split_once(':').unwrap_or((text, ""));
        self.obey(verb, argument, message)
    }

    fn process_batch(&mut self, batch: &[Message]) -> Vec<Outcome> {
        self.calls += 1;
        self.batch = (batch.len(), batch.iter().map(size).sum());
        let mut outcomes: Vec<Outcome> = batch
            .iter()
            .map(|message| self.process(message).into())
            .collect();
        if batch.iter().any(|message| message.payload == b"short") {
            outcomes.pop();
        }
        if batch.iter().any(|message| message.payload == b"long") {
            outcomes.push(Outcome::Emit(Vec::new()));
        }
        outcomes
    }
}

impl Misbehave {
    fn obey(&mut self, verb: &str, argument: &str, message: &Message) -> Result<Outputs, Error> {
        let number = || {
            let number = argument.split('/').next().unwrap_or(argument);
            number
                .parse::<u64>()
                .or_reject(format_args!("`{argument}` is no number"))
        };
        Ok(match verb {
            // Faults of the whole call.
            "trap" => trap(),
            "panic" => panic!("panicked because the payload said so"),
            "spin" => spin(),
            "sleep" => sleep(argument.parse().unwrap_or(3_600_000)),
            "sleep-once" if message.attempt == 1 => sleep(3_600_000),
            "alloc" => allocate(),
            "overflow" => overflow(1).into(),
            "exit" => exit(),
            // Answers over the limits.
            "flood" => Output::new(vec![b'x'; argument.parse().unwrap_or(32 << 20)]).into(),
            "flood-count" => vec![Output::pass(); argument.parse().unwrap_or(1_000_000)].into(),
            // Slow, but alive.
            "slow" => {
                busy(Duration::from_millis(number()?));
                self.pass()
            }
            // Noise.
            "stdout" => {
                (0..number()?).for_each(|line| println!("line {line} of stdout"));
                self.pass()
            }
            "stderr" => {
                (0..number()?).for_each(|line| eprintln!("line {line} of stderr"));
                self.pass()
            }
            "log" => {
                (0..number()?).for_each(|entry| info!("entry {entry} of the log"));
                self.pass()
            }
            "metrics" => {
                (0..number()?).for_each(|index| metrics::add(&format!("counter_{index}"), 1));
                self.pass()
            }
            "bad-metric" => {
                metrics::add(argument, 1);
                self.pass()
            }
            // Memory that stays.
            "leak" => {
                self.leaked.push(vec![1; usize::try_from(number()?)?]);
                self.pass()
            }
            // Outcomes other than emitting.
            "retry" => return Err(Error::retry("the payload said so")),
            "retry-until" if u64::from(message.attempt) < number()? => {
                return Err(Error::retry(format!(
                    "attempt {} is too early",
                    message.attempt
                )));
            }
            "retry-after" => {
                let after = Duration::from_millis(number()?);
                return Err(Error::retry_after(after, "the payload said so"));
            }
            "reject" => return Err(Error::reject("the payload said so")),
            // As the SDKs report an exception.
            "raise" => {
                let mark = "the payload said so\n  raise | error\n        ^^^^^";
                return Err(Error::reject(mark));
            }
            "drop" => {
                if !argument.is_empty() {
                    metrics::add(&format!("dropped_{argument}"), 1);
                }
                Outputs::none()
            }
            "emit" => (0..number()?)
                .map(|index| Output::new(format!("{index}")))
                .collect(),
            // Outputs that the host must refuse, or check.
            "header-newline" => Output::pass().header("Bad", "one\r\nTwo: three").into(),
            "header-name" => Output::pass().header("Bad: name\r\n", "value").into(),
            "nats-header" => Output::pass().header("Nats-Msg-Id", "mine").into(),
            "bad-subject" => Output::pass().subject("no good.*.subject.>").into(),
            "subject" => Output::pass().subject(argument).into(),
            "key" => Output::pass().key(argument).into(),
            // What the instance remembers: how many calls it has served.
            "calls" => Output::new(self.calls.to_string()).into(),
            "batch" => {
                let (messages, bytes) = self.batch;
                Output::new(format!("{messages} {bytes}")).into()
            }
            // What the host says about the operator.
            "config" => match config::get::<String>(argument) {
                Some(value) => Output::new(value).into(),
                None => Output::new("none").into(),
            },
            "name" => Output::new(format!("{}/{}", config::pipeline(), config::operator())).into(),
            "time" => Output::new(format!("{:?}", std::time::SystemTime::now())).into(),
            "environment" => {
                Output::new(format!("{:?}", std::env::vars().collect::<Vec<_>>())).into()
            }
            "read" => match std::fs::read(argument) {
                Ok(bytes) => Output::new(bytes).into(),
                Err(error) => return Err(Error::reject(format!("cannot read: {error}"))),
            },
            "connect" => match std::net::TcpStream::connect(argument) {
                Ok(_) => Output::new("connected").into(),
                Err(error) => return Err(Error::reject(format!("cannot connect: {error}"))),
            },
            _ => self.pass(),
        })
    }

    /// As it came, but for the mark that the configuration asks for.
    fn pass(&self) -> Outputs {
        match &self.mark {
            Some(mark) => Output::pass().header("Mark", mark).into(),
            None => Outputs::pass(),
        }
    }
}

/// What of a message counts against the bounds of a batch, where all headers cross the border.
fn size(message: &Message) -> usize {
    let headers = message.headers.iter();
    let headers = headers.map(|header| header.name.len() + header.value.len());
    message.payload.len() + headers.sum::<usize>()
}

fn trap() -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    std::process::abort()
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Blocks in the host, which no epoch interrupts.
fn sleep(milliseconds: u64) -> Outputs {
    std::thread::sleep(Duration::from_millis(milliseconds));
    Outputs::pass()
}

/// Asks for memory, a mebibyte at a time, until there is none; then the allocator aborts.
fn allocate() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Ends the process it takes itself for.
#[expect(
    clippy::disallowed_methods,
    reason = "a guest that does this is what the test is about"
)]
fn exit() -> ! {
    std::process::exit(3)
}

/// Runs out of stack.
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn overflow(depth: u64) -> Output {
    let frame = black_box([depth; 64]);
    let output = overflow(frame[0] + 1);
    black_box(output)
}

/// Computes for this long by the guest's own clock.
fn busy(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        black_box((0..1000_u64).fold(0, |sum, next| black_box(sum ^ next)));
    }
}

weir_sdk::export!(Misbehave);
