//! The `nats:` section. No finding quotes a secret.

use super::values::{Context, optional};
use crate::config::cursor::Cursor;
use crate::config::model;
use crate::config::resolved::{API_PREFIX, Auth, Nats, Tls};
use crate::config::subject::{check_api_prefix, check_inbox_prefix};
use crate::report::secrets;

/// The environment variable from which all NATS tools read the server's address.
const VARIABLE: &str = "NATS_URL";

const RELATIVE: &str = "a relative path starts at the folder of this file";

pub(super) fn nats(
    model: &model::Nats,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Nats> {
    let servers = servers(model, at, context);
    let auth = auth(model, at, context);
    let tls = tls(&model.tls, &at.field("tls"), context);
    let inbox_prefix = context.parsed(
        check_inbox_prefix(&model.inbox_prefix),
        &at.field("inbox-prefix"),
    );
    let api_prefix = api_prefix(model, at, context);
    let from_file = at.field("url").is_given() || at.field("servers").is_given();
    let from_file = from_file && context.servers.is_empty();
    let (servers, auth) = embedded(servers?, auth?, from_file, at, context)?;
    inbox_prefix?;
    Some(Nats {
        servers,
        auth,
        tls: tls?,
        inbox_prefix: model.inbox_prefix.clone(),
        api_prefix: api_prefix?,
    })
}

fn api_prefix(model: &model::Nats, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<String> {
    let (domain_at, prefix_at) = (at.field("domain"), at.field("api-prefix"));
    match (&model.domain, &model.api_prefix) {
        (Some(_), Some(_)) => {
            let location = domain_at.key_location().max(prefix_at.key_location());
            let message = "`nats` takes either `domain` or `api-prefix`";
            let hint = "keep `domain`, which stands for `api-prefix: $JS.<domain>.API`";
            context.findings.add_hint(location, message, hint);
            None
        }
        (Some(domain), None) => {
            let prefix = format!("$JS.{domain}.API");
            let checked = match domain.contains('.') {
                true => Err("the name of a domain has no dot".to_owned()),
                false => check_api_prefix(&prefix),
            };
            context.parsed(checked.map(|()| prefix), &domain_at)
        }
        (None, Some(prefix)) => {
            let checked = check_api_prefix(prefix);
            context.parsed(checked.map(|()| prefix.clone()), &prefix_at)
        }
        (None, None) => Some(API_PREFIX.to_owned()),
    }
}

/// Servers of the command line or the environment, and the credentials in their addresses.
#[must_use]
pub fn without_credentials(servers: Vec<String>) -> (Vec<String>, Auth) {
    let mut auth = Auth::None;
    let mut plain = Vec::with_capacity(servers.len());
    for server in servers {
        match split_credentials(&server) {
            Some((credentials, address)) => {
                auth = credentials;
                plain.push(address);
            }
            None => plain.push(server),
        }
    }
    (plain, auth)
}

/// Removes credentials from addresses, so that servers can be shown and logged. Credentials from the
/// command line or the environment override those in the file.
fn embedded(
    servers: Vec<String>,
    mut auth: Auth,
    from_file: bool,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<(Vec<String>, Auth)> {
    let mut plain = Vec::with_capacity(servers.len());
    for (index, server) in servers.into_iter().enumerate() {
        let Some((credentials, address)) = split_credentials(&server) else {
            plain.push(server);
            continue;
        };
        if from_file && auth != Auth::None && auth != credentials {
            let at = at.field("url").or(at.field("servers").item(index));
            context.findings.add_hint(
                at.location(),
                format!("`{}` has credentials, and there are others", at.path()),
                "keep one kind, the same for every server",
            );
            return None;
        }
        auth = credentials;
        plain.push(address);
    }
    Some((plain, auth))
}

/// `nats://user:password@host` or `nats://token@host` as credentials and address.
fn split_credentials(server: &str) -> Option<(Auth, String)> {
    let (scheme, rest) = server.split_once("://")?;
    let (credentials, host) = rest.rsplit_once('@')?;
    secrets::keep(credentials);
    let auth = match credentials.split_once(':') {
        Some((user, password)) => {
            secrets::keep(password);
            Auth::UserPassword {
                user: percent_decoded(user),
                password: percent_decoded(password),
            }
        }
        None => Auth::Token(percent_decoded(credentials)),
    };
    if let Auth::UserPassword {
        password: secret, ..
    }
    | Auth::Token(secret) = &auth
    {
        secrets::keep(secret);
    }
    Some((auth, format!("{scheme}://{host}")))
}

/// Decodes percent-encoding, such as `%40`, in a part of an address.
fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part
            .get(..2)
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        match (code, part.get(2..)) {
            (Some(byte), Some(rest)) => {
                bytes.push(byte);
                bytes.extend_from_slice(rest.as_bytes());
            }
            _ => {
                bytes.push(b'%');
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// The command line overrides the file, and the file overrides the environment.
fn servers(model: &model::Nats, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<Vec<String>> {
    let of_file = servers_of_file(model, at, context);
    if !context.servers.is_empty() {
        return of_file.map(|_| context.servers.to_vec());
    }
    if at.field("url").is_given() || at.field("servers").is_given() {
        return of_file;
    }
    let Some(text) = (context.environment)(VARIABLE).filter(|text| !text.trim().is_empty()) else {
        return of_file;
    };
    let servers: Result<Vec<String>, String> = text.split(',').map(address).collect();
    let refuse = |why| {
        let message = format!("the environment variable `{VARIABLE}`: {why}");
        let hint = "correct it, or set `nats.url`";
        context.findings.add_hint(at.key_location(), message, hint);
    };
    servers.map_err(refuse).ok()
}

fn servers_of_file(
    model: &model::Nats,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<String>> {
    let (url_at, servers_at) = (at.field("url"), at.field("servers"));
    if url_at.is_given() && servers_at.is_given() {
        let location = url_at.key_location().max(servers_at.key_location());
        context.findings.add_hint(
            location,
            "`nats` takes either `url` or `servers`",
            "keep `servers`",
        );
        return None;
    }
    if let Some(url) = &model.url {
        return context
            .parsed(check_address(url), &url_at)
            .map(|()| vec![url.clone()]);
    }
    if model.servers.is_empty() {
        context
            .findings
            .add(servers_at.location(), "`nats.servers` is empty");
        return None;
    }
    context.each(&model.servers, &servers_at, |context, server, at| {
        let checked = check_address(server).map(|()| server.to_owned());
        context.parsed(checked, at)
    })
}

/// An address from the command line or the environment: `nats://` is optional.
///
/// # Errors
///
/// Says in one sentence what is wrong with it.
pub fn address(text: &str) -> Result<String, String> {
    let text = text.trim();
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("nats://{text}")
    };
    check_address(&whole).map(|()| whole)
}

/// `nats://host:port`, `tls://user:password@host` and similar. Errors never quote what precedes an `@`.
fn check_address(text: &str) -> Result<(), String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("an address begins with `nats://` or `tls://`".to_owned());
    };
    if !matches!(scheme, "nats" | "tls") {
        // Anything else may be the beginning of a password.
        let is_scheme = scheme.len() <= 5 && scheme.bytes().all(|byte| byte.is_ascii_lowercase());
        let what = match is_scheme {
            true => format!("`{scheme}://`"),
            false => "the scheme".to_owned(),
        };
        return Err(format!(
            "{what} is not supported; use `nats://` or `tls://`"
        ));
    }
    let host = rest
        .rsplit_once('@')
        .map_or(rest, |(_, host)| host)
        .trim_end_matches('/');
    let (host, port) = match host.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host, None),
    };
    if host.is_empty() {
        return Err("the address has no host".to_owned());
    }
    if host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ',' | '?' | '#')) {
        return Err("the host has a character that no host has".to_owned());
    }
    match port {
        Some(port) if !port.parse::<u16>().is_ok_and(|port| port > 0) => {
            Err("the port is not a number from 1 to 65535".to_owned())
        }
        _ => Ok(()),
    }
}

fn auth(model: &model::Nats, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<Auth> {
    let given: Vec<_> = ["credentials", "nkey", "user", "token"]
        .into_iter()
        .filter(|kind| at.field(kind).is_given())
        .collect();
    if let [first, .., last] = given.as_slice() {
        let location = at
            .field(last)
            .key_location()
            .max(at.field(first).key_location());
        let kinds: Vec<_> = given.iter().map(|kind| format!("`{kind}`")).collect();
        context.findings.add_hint(
            location,
            format!(
                "`nats` takes one kind of credentials, not {}",
                kinds.join(" and ")
            ),
            "keep one of them",
        );
        return None;
    }
    go_together(at, ["user", "password"], context)?;
    if let Some(file) = &model.credentials {
        return context
            .existing_file(file, RELATIVE, &at.field("credentials"))
            .map(Auth::CredentialsFile);
    }
    if let Some(nkey) = &model.nkey {
        return seed(nkey, &at.field("nkey"), context).map(Auth::NkeySeed);
    }
    match (&model.user, &model.password, &model.token) {
        (Some(user), Some(password), _) => Some(Auth::UserPassword {
            user: user.clone(),
            password: password.clone(),
        }),
        (_, _, Some(token)) => Some(Auth::Token(token.clone())),
        // It has the wrong type, which has been reported.
        _ if !given.is_empty() => None,
        _ => Some(Auth::None),
    }
}

/// Checks that two fields are given together; `None` if only one of them is.
fn go_together(at: &Cursor<'_>, names: [&str; 2], context: &mut Context<'_>) -> Option<()> {
    let [one, other] = names.map(|name| at.field(name));
    let (there, missing) = match (one.is_given(), other.is_given()) {
        (true, false) => (one, other),
        (false, true) => (other, one),
        _ => return Some(()),
    };
    let message = format!("`{}` needs `{}`", there.path(), missing.path());
    context.findings.add(there.key_location(), message);
    None
}

/// The seed itself, or the seed in a file, which can also contain comments.
fn seed(text: &str, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<String> {
    if is_seed(text) {
        return Some(text.to_owned());
    }
    if !text.contains(['/', '.']) {
        secrets::keep(text);
    }
    let Ok(content) = std::fs::read_to_string(context.path(text)) else {
        context.findings.add_hint(
            at.location(),
            "`nats.nkey` is neither a seed nor a readable file",
            "a seed begins with `SU` and has 58 characters; a relative path starts at the folder of this file",
        );
        return None;
    };
    let found = content.lines().map(str::trim).find(|line| is_seed(line));
    if found.is_none() {
        context.findings.add_hint(
            at.location(),
            format!("`nats.nkey`: there is no user seed in `{text}`"),
            "a seed begins with `SU` and has 58 characters",
        );
    }
    found.map(ToOwned::to_owned)
}

/// Checks the format of a user's nkey seed. Only the connection can tell whether it is valid.
fn is_seed(text: &str) -> bool {
    text.len() == 58
        && text.starts_with("SU")
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b))
}

fn tls(model: &model::Tls, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<Tls> {
    let mut file = |text: &Option<String>, name: &str| {
        optional(text.as_deref(), |text| {
            context.existing_file(text, RELATIVE, &at.field(name))
        })
    };
    let (ca, cert, key) = (
        file(&model.ca, "ca"),
        file(&model.cert, "cert"),
        file(&model.key, "key"),
    );
    go_together(at, ["cert", "key"], context)?;
    Some(Tls {
        required: model.required,
        first: model.first,
        ca: ca?,
        identity: cert?.zip(key?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_an_address_are_taken_out_of_it() {
        let auth = Auth::UserPassword {
            user: "a".to_owned(),
            password: "p@s:s/100%".to_owned(),
        };
        assert_eq!(
            split_credentials("nats://a:p%40s:s/100%@host:4222"),
            Some((auth, "nats://host:4222".to_owned()))
        );
        assert_eq!(
            split_credentials("tls://secret@[::1]"),
            Some((Auth::Token("secret".to_owned()), "tls://[::1]".to_owned()))
        );
        assert_eq!(split_credentials("nats://host:4222"), None);
    }
}
