//! What a connection's handles share with its task: data to write, and the subscriptions with their received
//! messages.
//!
//! Nothing waits here. A lane and its connection run on one thread, so the lock is never contended on
//! the path of a message.

use super::command;
use super::parser::Message;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};
use std::task::{Poll, Waker};
use std::time::Instant;

/// The largest buffer that is kept for what is to be written next, in bytes.
const MOST_KEPT: usize = 4 << 20;

/// Everything about one connection that outlives its sockets.
#[derive(Default)]
pub(super) struct State {
    /// Whole commands that are not written yet. What is written here while there is no connection goes
    /// to the next one.
    pub out: BytesMut,
    /// Bytes that were moved out of `out` so far.
    pub taken: u64,
    /// What ends at this byte or before, counted from the first that was ever added to `out`, went over a
    /// connection that was lost.
    pub lost: u64,
    subscriptions: BTreeMap<u64, Inbox>,
    /// The number of the latest subscription.
    latest: u64,
    /// Wakes the task when there is something to write.
    pub writer: Option<Waker>,
    /// Those that wait for room in `out`, or for an answer to a PING.
    pub waiting: Vec<Waker>,
    /// Whether a PING is to be written behind `out`.
    pub ping: bool,
    /// PINGs that were written to this connection, and those of them that are answered.
    pub pings: u64,
    pub pongs: u64,
    /// Connections so far. An answer to a PING of an earlier one never comes.
    pub connections: u64,
    /// When the present one began.
    pub began: Option<Instant>,
    pub max_payload: usize,
    /// There will be no further connection.
    pub closed: bool,
}

/// One subscription.
struct Inbox {
    subject: Bytes,
    queue: VecDeque<Message>,
    reader: Option<Waker>,
    /// Messages that have come for it on this connection.
    received: usize,
    /// How many more come, if it ends by number.
    left: Option<usize>,
    /// Whether it goes on at the next connection.
    lasting: bool,
}

impl State {
    /// Moves what is to be written to where it is written from. Whether there was anything.
    pub(super) fn take_out(&mut self, into: &mut BytesMut) -> bool {
        if self.ping {
            command::ping(&mut self.out);
            self.pings += 1;
            self.ping = false;
        }
        let any = !self.out.is_empty();
        self.taken += self.out.len() as u64;
        // The two change places, so that neither allocates.
        std::mem::swap(&mut self.out, into);
        self.out.clear();
        if self.out.capacity() > MOST_KEPT {
            self.out = BytesMut::new();
        }
        self.wake_waiting();
        any
    }

    /// Wakes the task: there is something to write.
    pub(super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    pub(super) fn wake_waiting(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    /// Begins a subscription. Its number.
    pub(super) fn subscribe(&mut self, subject: Bytes, lasting: bool) -> u64 {
        self.latest += 1;
        command::subscribe(&mut self.out, &subject, self.latest);
        let inbox = Inbox {
            subject,
            queue: VecDeque::new(),
            reader: None,
            received: 0,
            left: None,
            lasting,
        };
        self.subscriptions.insert(self.latest, inbox);
        self.wake_writer();
        self.latest
    }

    /// Ends a subscription at once, here as well.
    pub(super) fn unsubscribe(&mut self, number: u64) {
        if self.subscriptions.remove(&number).is_some() {
            command::unsubscribe(&mut self.out, number, None);
            self.wake_writer();
        }
    }

    /// Ends a subscription when this many further messages have been taken from it.
    pub(super) fn unsubscribe_after(&mut self, number: u64, count: usize) {
        if let Some(inbox) = self.subscriptions.get_mut(&number) {
            let left = count.saturating_sub(inbox.queue.len());
            inbox.left = Some(left);
            let most = (inbox.received + left) as u64;
            command::unsubscribe(&mut self.out, number, Some(most));
            self.wake_writer();
        }
    }

    /// A message has come. What nobody subscribes to any more is dropped.
    pub(super) fn arrived(&mut self, number: u64, message: Message) {
        let Some(inbox) = self.subscriptions.get_mut(&number) else {
            return;
        };
        if let Some(left) = &mut inbox.left {
            if *left == 0 {
                return;
            }
            *left -= 1;
        }
        inbox.received += 1;
        inbox.queue.push_back(message);
        if let Some(reader) = inbox.reader.take() {
            reader.wake();
        }
    }

    /// The next message of a subscription; `None` behind its last.
    pub(super) fn take(&mut self, number: u64, waker: Option<&Waker>) -> Poll<Option<Message>> {
        let Some(inbox) = self.subscriptions.get_mut(&number) else {
            return Poll::Ready(None);
        };
        if let Some(message) = inbox.queue.pop_front() {
            return Poll::Ready(Some(message));
        }
        if self.closed || inbox.left == Some(0) {
            return Poll::Ready(None);
        }
        if let Some(waker) = waker {
            inbox.reader = Some(waker.clone());
        }
        Poll::Pending
    }

    /// There is a new connection: what it must hear before anything else. Subscriptions that were for
    /// one connection get nothing more, and stay until they are dropped.
    pub(super) fn begin(&mut self, max_payload: usize) -> BytesMut {
        let mut first = BytesMut::new();
        for (number, inbox) in &self.subscriptions {
            if inbox.lasting {
                command::subscribe(&mut first, &inbox.subject, *number);
            }
        }
        (self.pings, self.pongs) = (0, 0);
        self.connections += 1;
        self.began = Some(Instant::now());
        self.max_payload = max_payload;
        self.wake_waiting();
        first
    }

    /// There will be no further connection.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.wake_waiting();
        for inbox in self.subscriptions.values_mut() {
            if let Some(reader) = inbox.reader.take() {
                reader.wake();
            }
        }
    }
}
