//! Opens a connection to one server: TCP, TLS, INFO, CONNECT, and the answer to a first PING.

use super::command;
use super::parser::{Frame, Parser};
use super::servers::Address;
use super::tls;
use crate::config::resolved::Nats;
use crate::nats::auth::identify;
use crate::nats::explain;
use crate::report;
use anyhow::{Context, Result, anyhow, bail};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

/// How long one server may take to be connected to.
const LONGEST: Duration = Duration::from_secs(5);

/// A stream of bytes to a server.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection that a server has accepted.
pub(super) struct Link {
    pub io: Box<dyn Io>,
    /// May hold what came behind the server's first answers.
    pub parser: Parser,
    pub info: Info,
}

/// What a server says of itself, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    pub max_payload: usize,
    pub connect_urls: Vec<String>,
    /// Lame duck mode: it is about to shut down.
    pub ldm: bool,
    nonce: String,
    tls_required: bool,
    headers: bool,
}

impl Info {
    /// Reads what stands behind INFO.
    ///
    /// # Errors
    /// When that is not the JSON of a server.
    pub(super) fn parse(json: &Bytes) -> Result<Self> {
        serde_json::from_slice(json).context("cannot read the server's INFO")
    }
}

/// Connects to one server under this name.
///
/// # Errors
/// With the cause and what to do about it.
pub(super) async fn dial(settings: &Nats, name: &str, address: &Address) -> Result<Link> {
    let dialed = tokio::time::timeout(LONGEST, connect(settings, name, address)).await;
    dialed.unwrap_or_else(|_| {
        let text = format!("no answer within {} s", LONGEST.as_secs());
        Err(report::hint(anyhow!(text), explain::silent(&settings.tls)))
    })
}

async fn connect(settings: &Nats, name: &str, address: &Address) -> Result<Link> {
    let tcp = TcpStream::connect((address.host.as_str(), address.port)).await;
    let tcp = tcp.map_err(|error| report::hint(error, explain::NOBODY))?;
    tcp.set_nodelay(true).context("cannot set up the socket")?;
    let mut parser = Parser::default();
    let mut io: Box<dyn Io> = Box::new(tcp);
    if settings.tls.first {
        io = encrypt(settings, address, io).await?;
    }
    let mut info = match next(&mut io, &mut parser).await? {
        Frame::Info(json) => Info::parse(&json)?,
        other => bail!("the server begins with {other:?} instead of INFO"),
    };
    let demanded = settings.tls.required || address.tls || info.tls_required;
    if demanded && !settings.tls.first {
        if !parser.room().is_empty() {
            bail!("the server continues without TLS, which is required");
        }
        io = encrypt(settings, address, io).await?;
    }
    if !info.headers {
        bail!("the server has headers switched off");
    }
    let mut options = json!({
        "name": name,
        "lang": "rust",
        "version": env!("CARGO_PKG_VERSION"),
        "protocol": 1,
        "verbose": false,
        "pedantic": false,
        "headers": true,
        "no_responders": true,
        "tls_required": demanded || settings.tls.first,
    });
    if let Some(fields) = options.as_object_mut() {
        identify(&settings.auth, &info.nonce, fields).await?;
    }
    let mut hello = BytesMut::new();
    command::connect(&mut hello, &options);
    command::ping(&mut hello);
    io.write_all(&hello).await?;
    io.flush().await?;
    loop {
        match next(&mut io, &mut parser).await? {
            Frame::Pong => return Ok(Link { io, parser, info }),
            Frame::Info(json) => info = Info::parse(&json)?,
            Frame::Error(words) => return Err(refused(&words)),
            Frame::Ping => io.write_all(b"PONG\r\n").await?,
            Frame::Ok | Frame::Message(..) => {}
        }
    }
}

fn refused(words: &str) -> anyhow::Error {
    let text = words.to_ascii_lowercase();
    let is_about_us = ["authorization", "authentication", "expired", "revoked"];
    let error = anyhow!("the server refused: {text}");
    match is_about_us.iter().any(|word| text.contains(word)) {
        true => report::hint(error, explain::CREDENTIALS),
        false => error,
    }
}

async fn encrypt(settings: &Nats, address: &Address, io: Box<dyn Io>) -> Result<Box<dyn Io>> {
    let connector = tls::connector(&settings.tls).await?;
    let name = ServerName::try_from(address.host.clone());
    let name = name.with_context(|| format!("`{}` is not a valid name for TLS", address.host))?;
    let encrypted = connector.connect(name, io).await;
    Ok(Box::new(
        encrypted.map_err(|error| explain::encrypt(error, &settings.tls))?,
    ))
}

async fn next(io: &mut Box<dyn Io>, parser: &mut Parser) -> Result<Frame> {
    loop {
        if let Some(frame) = parser.next_frame()? {
            return Ok(frame);
        }
        if io.read_buf(parser.room()).await? == 0 {
            bail!("the server closed the connection");
        }
    }
}
