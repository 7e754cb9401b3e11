//! The resource `fields`: headers and trailers.

use super::bindings::types::{HeaderError, HostFields};
use crate::plugin::instance::State;
use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};
use wasmtime::component::Resource;
use wasmtime::{Result, bail, format_err};

/// Bytes of names and values that one resource may hold. Servers refuse requests with more than
/// 8 to 32 KiB of headers.
const MAX_BYTES: usize = 64 << 10;

/// Headers that belong to the connection, which is the host's, or name the server, which is the
/// grant's.
fn is_forbidden(name: &HeaderName) -> bool {
    const NAMES: [HeaderName; 7] = [
        header::CONNECTION,
        header::HOST,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    const OTHERS: [&str; 3] = ["http2-settings", "keep-alive", "proxy-connection"];
    NAMES.contains(name) || OTHERS.contains(&name.as_str())
}

/// Headers or trailers behind a handle.
#[derive(Clone, Debug, Default)]
#[expect(unreachable_pub, reason = "what bindgen makes re-exports it")]
pub struct Fields {
    map: HeaderMap,
    bytes: usize,
    /// Whether they can no longer be changed, as the interface has it: once they belong to a request,
    /// and in a response.
    frozen: bool,
}

impl Fields {
    /// Headers or trailers of a response. What is forbidden in a request is the connection's here.
    pub(super) fn received(map: HeaderMap) -> Self {
        let mut map = map;
        let forbidden: Vec<_> = map
            .keys()
            .filter(|name| is_forbidden(name))
            .cloned()
            .collect();
        for name in forbidden {
            map.remove(name);
        }
        Self {
            map,
            bytes: 0,
            frozen: true,
        }
    }

    pub(super) fn frozen(mut self) -> Self {
        self.frozen = true;
        self
    }

    pub(super) fn into_map(self) -> HeaderMap {
        self.map
    }

    /// The length of the body, as it is announced.
    pub(super) fn content_length(&self) -> Option<u64> {
        let value = self.map.get(header::CONTENT_LENGTH)?;
        value.to_str().ok()?.parse().ok()
    }

    /// Checks a name that is about to be changed.
    fn name(&self, name: &str) -> Result<HeaderName, HeaderError> {
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderError::InvalidSyntax)?;
        if self.frozen {
            Err(HeaderError::Immutable)
        } else if is_forbidden(&name) {
            Err(HeaderError::Forbidden)
        } else {
            Ok(name)
        }
    }

    fn remove(&mut self, name: &HeaderName) {
        for value in self.map.get_all(name) {
            self.bytes = self.bytes.saturating_sub(name.as_str().len() + value.len());
        }
        self.map.remove(name);
    }

    /// Adds a value. The outer error is a trap.
    fn add(&mut self, name: HeaderName, value: &[u8]) -> Result<Result<(), HeaderError>> {
        let Some(value) = checked(&name, value, self.map.contains_key(&name)) else {
            return Ok(Err(HeaderError::InvalidSyntax));
        };
        self.bytes += name.as_str().len() + value.len();
        if self.bytes > MAX_BYTES {
            bail!("more than {MAX_BYTES} bytes of header fields");
        }
        self.map
            .try_append(name, value)
            .map_err(|_| format_err!("too many header fields"))?;
        Ok(Ok(()))
    }
}

/// A value that is valid under this name. A length is digits, and there is one, so that no two readers
/// of a request differ in where its body ends.
fn checked(name: &HeaderName, value: &[u8], again: bool) -> Option<HeaderValue> {
    if *name == header::CONTENT_LENGTH {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        if again || !digits || std::str::from_utf8(value).ok()?.parse::<u64>().is_err() {
            return None;
        }
    }
    HeaderValue::from_bytes(value).ok()
}

impl HostFields for State {
    fn new(&mut self) -> Result<Resource<Fields>> {
        Ok(self.table.push(Fields::default())?)
    }

    fn from_list(
        &mut self,
        entries: Vec<(String, Vec<u8>)>,
    ) -> Result<Result<Resource<Fields>, HeaderError>> {
        let mut fields = Fields::default();
        for (name, value) in entries {
            let added = match fields.name(&name) {
                Ok(name) => fields.add(name, &value)?,
                Err(error) => Err(error),
            };
            if let Err(error) = added {
                return Ok(Err(error));
            }
        }
        Ok(Ok(self.table.push(fields)?))
    }

    fn get(&mut self, fields: Resource<Fields>, name: String) -> Result<Vec<Vec<u8>>> {
        let values = self.table.get(&fields)?.map.get_all(&name);
        Ok(values
            .iter()
            .map(|value| value.as_bytes().to_vec())
            .collect())
    }

    fn has(&mut self, fields: Resource<Fields>, name: String) -> Result<bool> {
        Ok(self.table.get(&fields)?.map.contains_key(&name))
    }

    fn set(
        &mut self,
        fields: Resource<Fields>,
        name: String,
        values: Vec<Vec<u8>>,
    ) -> Result<Result<(), HeaderError>> {
        let fields = self.table.get_mut(&fields)?;
        let name = match fields.name(&name) {
            Ok(name) => name,
            Err(error) => return Ok(Err(error)),
        };
        fields.remove(&name);
        for value in values {
            if let Err(error) = fields.add(name.clone(), &value)? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    fn delete(
        &mut self,
        fields: Resource<Fields>,
        name: String,
    ) -> Result<Result<(), HeaderError>> {
        let fields = self.table.get_mut(&fields)?;
        Ok(fields.name(&name).map(|name| fields.remove(&name)))
    }

    fn append(
        &mut self,
        fields: Resource<Fields>,
        name: String,
        value: Vec<u8>,
    ) -> Result<Result<(), HeaderError>> {
        let fields = self.table.get_mut(&fields)?;
        match fields.name(&name) {
            Ok(name) => fields.add(name, &value),
            Err(error) => Ok(Err(error)),
        }
    }

    fn entries(&mut self, fields: Resource<Fields>) -> Result<Vec<(String, Vec<u8>)>> {
        let map = &self.table.get(&fields)?.map;
        let entry = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), value.as_bytes().to_vec())
        };
        Ok(map.iter().map(entry).collect())
    }

    fn clone(&mut self, fields: Resource<Fields>) -> Result<Resource<Fields>> {
        let mut fields = self.table.get(&fields)?.clone();
        fields.frozen = false;
        Ok(self.table.push(fields)?)
    }

    fn drop(&mut self, fields: Resource<Fields>) -> Result<()> {
        self.table.delete(fields)?;
        Ok(())
    }
}
