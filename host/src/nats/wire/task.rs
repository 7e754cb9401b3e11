//! The task of a connection: writes, reads, and reconnects after a loss.

use super::command;
use super::dial::{Info, Link, dial};
use super::parser::Frame;
use super::servers::{Address, Servers};
use super::state::State;
use crate::config::resolved::Nats;
use crate::nats::Health;
use crate::threads::locked;
use anyhow::{Context as _, Result, anyhow, bail};
use bytes::BytesMut;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::AsyncWrite;

/// A connection on which nothing came for so long is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(10);
/// Questions in a row that may stay without an answer.
const UNANSWERED: u64 = 2;
/// A connection that has lasted for so long was a good one: the next is made without a pause.
const STEADY: Duration = Duration::from_secs(5);

/// What the task of one connection works with.
pub(super) struct Task {
    pub settings: Nats,
    pub name: String,
    pub servers: Servers,
    pub state: Arc<Mutex<State>>,
    pub health: Arc<Health>,
    /// What is being written: whole commands, of which the first `written` bytes are on their way.
    /// What is left of it when the connection is lost is written to the next, from the first command that is
    /// not on its way as a whole: the server never acts on a part of one.
    writing: BytesMut,
    written: usize,
    /// How many bytes of its end are from what handles have added.
    added: usize,
}

/// Whatever ends the task, also a panic, there is no further connection.
impl Drop for Task {
    fn drop(&mut self) {
        locked(&self.state).close();
        self.health.closed();
    }
}

impl Task {
    pub(super) fn new(
        settings: &Nats,
        name: String,
        state: Arc<Mutex<State>>,
        health: Arc<Health>,
    ) -> Self {
        Self {
            servers: Servers::new(&settings.servers),
            settings: settings.clone(),
            name,
            state,
            health,
            writing: BytesMut::new(),
            written: 0,
            added: 0,
        }
    }

    /// Tries every server once.
    ///
    /// # Errors
    /// Of the last one that was tried.
    pub(super) async fn connect(&mut self) -> Result<(Link, Address)> {
        let mut failed = None;
        while let Some(address) = self.servers.next() {
            match dial(&self.settings, &self.name, &address).await {
                Ok(link) => return Ok((link, address)),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| anyhow!("no address of a server is valid")))
    }

    /// Serves the connection, and the next ones. Never ends by itself.
    pub(super) async fn run(mut self, mut link: Link, mut address: Address) {
        loop {
            let began = Instant::now();
            let why = match self.serve(link).await {
                Ok(never) => match never {},
                Err(why) => why,
            };
            if began.elapsed() >= STEADY {
                self.servers.reached();
            }
            self.health.lost(&format_args!("{why:#}"));
            (link, address) = self.reconnect(&address).await;
        }
    }

    async fn reconnect(&mut self, last: &Address) -> (Link, Address) {
        loop {
            if let Some(pause) = self.servers.begin_round(Some(last)) {
                tokio::time::sleep(pause).await;
            }
            match self.connect().await {
                Ok(connected) => return connected,
                Err(error) => self.health.not_found(&format_args!("{error:#}")),
            }
        }
    }

    /// Reads and writes until the connection is lost.
    async fn serve(&mut self, mut link: Link) -> Result<std::convert::Infallible> {
        self.greet(&link.info);
        let mut silent = 0;
        let mut quiet = tokio::time::interval(QUIET);
        quiet.reset();
        loop {
            tokio::select! {
                biased;
                read = std::future::poll_fn(|context| self.exchange(&mut link, context)) => {
                    read?;
                    silent = 0;
                    quiet.reset();
                    self.hear(&mut link)?;
                    // The lane has its turn before more is read.
                    tokio::task::yield_now().await;
                }
                _ = quiet.tick() => {
                    silent += 1;
                    if silent > UNANSWERED {
                        bail!("the server is silent");
                    }
                    let mut state = locked(&self.state);
                    state.ping = true;
                    state.wake_writer();
                }
            }
        }
    }

    /// What a new connection must hear first: the subscriptions, and what the last one did not hear.
    fn greet(&mut self, info: &Info) {
        self.learn(info);
        let mut state = locked(&self.state);
        let before = state.max_payload;
        let mut first = state.begin(info.max_payload);
        let writing = std::mem::take(&mut self.writing);
        let greeting = writing.len().saturating_sub(self.added);
        let added = writing.get(greeting..).unwrap_or_default();
        let sent = command::whole(added, self.written.saturating_sub(greeting));
        let mut left = added.get(sent..).unwrap_or_default();
        // A server that takes less would end the connection for it, and the next as well.
        if before > info.max_payload {
            left = &[];
            state.taken += state.out.len() as u64;
            state.out.clear();
        }
        state.lost = state.taken - left.len() as u64;
        first.extend_from_slice(left);
        (self.added, self.writing, self.written) = (left.len(), first, 0);
        drop(state);
        self.health.found();
    }

    fn learn(&mut self, info: &Info) {
        let named = info.connect_urls.iter();
        self.servers
            .name(named.filter_map(|url| Address::parse(url)));
        if info.ldm {
            tracing::warn!("the nats server is about to shut down");
        }
    }

    /// Writes as much as goes, then reads once. Ready when something was read.
    fn exchange(&mut self, link: &mut Link, context: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            if self.written == self.writing.len() {
                self.writing.clear();
                self.written = 0;
                let mut state = locked(&self.state);
                if !state.take_out(&mut self.writing) {
                    state.writer = Some(context.waker().clone());
                    break;
                }
                self.added = self.writing.len();
            }
            let rest = self.writing.get(self.written..).unwrap_or_default();
            match Pin::new(&mut link.io).poll_write(context, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(anyhow!("the connection is closed"))),
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => break,
            }
        }
        if let Poll::Ready(Err(error)) = Pin::new(&mut link.io).poll_flush(context) {
            return Poll::Ready(Err(error.into()));
        }
        let room = link.parser.room();
        let read = std::pin::pin!(tokio::io::AsyncReadExt::read_buf(&mut link.io, room));
        read.poll(context).map(|read| match read? {
            0 => bail!("the server closed the connection"),
            _ => Ok(()),
        })
    }

    /// Deals out what was read.
    fn hear(&mut self, link: &mut Link) -> Result<()> {
        let state = Arc::clone(&self.state);
        let mut state = locked(&state);
        while let Some(frame) = link.parser.next_frame()? {
            match frame {
                Frame::Message(number, message) => state.arrived(number, message),
                Frame::Ping => {
                    command::pong(&mut state.out);
                    state.wake_writer();
                }
                Frame::Pong => {
                    state.pongs += 1;
                    state.wake_waiting();
                }
                Frame::Info(json) => {
                    let info = Info::parse(&json).context("the server has changed")?;
                    state.max_payload = info.max_payload;
                    self.learn(&info);
                    self.health.changed.notify_waiters();
                }
                Frame::Error(words) => self.health.server_error(&words),
                Frame::Ok => {}
            }
        }
        Ok(())
    }
}
