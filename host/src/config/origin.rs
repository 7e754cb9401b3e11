//! Entries of `grants.http`: which servers a plugin may send requests to. Pure.
//!
//! An entry is a scheme, a host and a port, as in `https://api.example.com`; a request is granted if all
//! three match. `plugin/capability/http` checks the addresses that a granted name resolves to.

use core::net::{IpAddr, Ipv6Addr};
use std::fmt;

/// The server of a request, or a set of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub scheme: Scheme,
    pub host: Host,
    pub port: u16,
    /// Whether the host's name may resolve to private addresses: the entry is in `http-private`.
    pub private: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of an address without one.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The host of an entry or of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Address(IpAddr),
    /// In lower case, without a final dot.
    Name(String),
    /// The `example.org` of `*.example.org`: the star matches one label, as in a subject and in a
    /// certificate. Entries only.
    Under(String),
}

impl Host {
    /// The host of a request. `None` if it is neither an address nor a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse() {
            return Some(Self::Address(IpAddr::V4(address)));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        is_name(&name).then_some(Self::Name(name))
    }

    /// Whether this entry matches the host of a request.
    fn covers(&self, asked: &Self) -> bool {
        match (self, asked) {
            (Self::Under(parent), Self::Name(name)) => name
                .split_once('.')
                .is_some_and(|(_, rest)| rest == parent.as_str()),
            _ => self == asked,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
            Self::Address(address) => write!(formatter, "{address}"),
            Self::Name(name) => formatter.write_str(name),
            Self::Under(parent) => write!(formatter, "*.{parent}"),
        }
    }
}

impl Origin {
    /// Parses an entry.
    ///
    /// # Errors
    ///
    /// One line, lower case, that completes "the entry is wrong:".
    pub fn parse(text: &str, private: bool) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("an entry begins with `https://` or `http://`".to_owned());
        };
        let scheme = match scheme {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            other => {
                return Err(format!(
                    "`{other}://` is not HTTP; use `https://` or `http://`"
                ));
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err("an entry cannot have a user or a password".to_owned());
        }
        if let Some(position) = rest.find(['/', '?', '#']) {
            let path = rest.get(position..).unwrap_or_default();
            return Err(format!(
                "an entry is a scheme, a host and a port: remove `{path}`, a grant covers the whole \
                 server"
            ));
        }
        if rest.starts_with('[') && !rest.contains(']') {
            return Err(format!("the bracket of `{rest}` is not closed"));
        }
        let (host, port) = split_port(rest, scheme)?;
        Ok(Self {
            scheme,
            host: entry_host(host)?,
            port,
            private,
        })
    }

    /// Whether this entry grants a request to this server.
    #[must_use]
    pub fn grants(&self, scheme: Scheme, host: &Host, port: u16) -> bool {
        self.scheme == scheme && self.port == port && self.host.covers(host)
    }
}

impl fmt::Display for Origin {
    /// As in a configuration, with the port only if it is not the default of the scheme.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(formatter, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
fn split_port(text: &str, scheme: Scheme) -> Result<(&str, u16), String> {
    let after_address = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let colon = text
        .get(after_address..)
        .and_then(|rest| rest.find(':'))
        .map(|colon| colon + after_address);
    let Some(colon) = colon else {
        return Ok((text, scheme.default_port()));
    };
    let (host, port) = (text.get(..colon), text.get(colon + 1..));
    let (host, port) = (host.unwrap_or_default(), port.unwrap_or_default());
    match port.parse() {
        Ok(port) if port > 0 => Ok((host, port)),
        _ if port.contains(':') => Err(format!("an IPv6 address needs brackets: `[{text}]`")),
        _ => Err(format!("`{port}` is not a port: use 1 to 65535")),
    }
}

fn entry_host(text: &str) -> Result<Host, String> {
    if text.is_empty() {
        return Err("the host is missing".to_owned());
    }
    if let Some(parent) = text.strip_prefix("*.") {
        return match Host::parse(parent) {
            Some(Host::Name(parent)) if parent.contains('.') => Ok(Host::Under(parent)),
            Some(Host::Name(_)) => Err(format!(
                "`{text}` would grant a whole top-level domain; name the domain, as in \
                 `*.example.org`"
            )),
            _ => Err(format!("`{parent}` is not the name of a domain")),
        };
    }
    if text.contains('*') {
        return Err("`*` can only be the first label, as in `*.example.org`".to_owned());
    }
    match Host::parse(text) {
        Some(Host::Address(IpAddr::V6(address))) => match address.to_ipv4_mapped() {
            Some(address) => Err(format!("write it as an IPv4 address: `{address}`")),
            None => Ok(Host::Address(address.into())),
        },
        Some(host) => Ok(host),
        None => Err(format!("`{text}` is neither a host name nor an address")),
    }
}

/// Letters, digits, `-` and `_` in labels of 1 to 63. The last label does not begin with a digit:
/// resolvers read `127.1` and `0x7f000001` as addresses.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let fine = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(fine)
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253
        && text.split('.').all(label)
        && !last.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(entry: &str, scheme: Scheme, host: &str, port: u16) -> bool {
        let host = Host::parse(host);
        Origin::parse(entry, false)
            .is_ok_and(|entry| host.is_some_and(|host| entry.grants(scheme, &host, port)))
    }

    #[test]
    fn scheme_host_and_port_must_all_match() {
        use Scheme::{Http, Https};
        for (entry, scheme, host, port, granted) in [
            (
                "https://api.example.com",
                Https,
                "api.example.com",
                443,
                true,
            ),
            (
                "https://api.example.com/",
                Https,
                "API.Example.com.",
                443,
                true,
            ),
            (
                "https://api.example.com",
                Http,
                "api.example.com",
                443,
                false,
            ),
            (
                "https://api.example.com",
                Https,
                "api.example.com",
                8443,
                false,
            ),
            (
                "https://api.example.com",
                Https,
                "api.example.com.evil.net",
                443,
                false,
            ),
            (
                "https://api.example.com",
                Https,
                "www.api.example.com",
                443,
                false,
            ),
            ("https://*.example.org", Https, "a.example.org", 443, true),
            (
                "https://*.example.org",
                Https,
                "a.b.example.org",
                443,
                false,
            ),
            ("https://*.example.org", Https, "example.org", 443, false),
            (
                "https://*.example.org",
                Https,
                "a.evilexample.org",
                443,
                false,
            ),
            ("http://127.0.0.1:8080", Http, "127.0.0.1", 8080, true),
            ("http://127.0.0.1:8080", Http, "127.1", 8080, false),
            (
                "http://127.0.0.1:8080",
                Http,
                "[::ffff:127.0.0.1]",
                8080,
                false,
            ),
            ("http://127.0.0.1:8080", Http, "localhost", 8080, false),
            ("http://[::1]:8080", Http, "[0:0::1]", 8080, true),
        ] {
            let found = grants(entry, scheme, host, port);
            assert_eq!(found, granted, "{entry} {scheme:?} {host} {port}");
        }
    }

    #[test]
    fn an_entry_is_shown_as_in_a_configuration() {
        for entry in [
            "https://a.example.com",
            "http://*.b.example.com:81",
            "http://[fd00::1]",
        ] {
            assert_eq!(
                Origin::parse(entry, false).map(|o| o.to_string()),
                Ok(entry.to_owned())
            );
        }
    }

    #[test]
    fn what_resolvers_read_as_an_address_is_not_a_name() {
        for text in [
            "2130706433",
            "127.1",
            "0x7f000001",
            "1.2.3.4.5",
            "",
            "a..b",
            "a b",
            "é.org",
        ] {
            assert_eq!(Host::parse(text), None, "{text}");
        }
    }
}
