//! What a plugin gets of the servers that it asks: the same in every language.

use super::run::Subject;
use super::{suite, tokio};
use crate::harness::web::Web;
use weir::config::origin::Origin;
use weir::config::resolved::Grants;

/// Bytes of a response, and requests at once: as `http.yaml` has it.
const RESPONSE: usize = 6000;

/// Handles that an instance may hold: fewer than the requests of a case.
const HANDLES: usize = 100;

/// The servers of the suite.
pub struct Servers {
    granted: Web,
    other: Web,
}

impl Servers {
    pub fn start() -> Self {
        Self {
            granted: Web::start(),
            other: Web::start(),
        }
    }

    /// One of them, and an address at which nothing listens.
    pub fn grants(&self) -> Grants {
        let origins = [self.granted.origin(), "http://127.0.0.1:1".into()];
        let parse = |origin: &String| Origin::parse(origin, false).unwrap();
        let mut grants = Grants::default();
        grants.http.extend(origins.iter().map(parse));
        grants
    }
}

pub fn conforms(mut subject: Subject, servers: &Servers) {
    subject.limits.http_response_bytes = RESPONSE;
    subject.limits.handles = HANDLES;
    let (granted, other) = (servers.granted.origin(), servers.other.origin());
    let long = "x".repeat(5000);
    let values = [("{web}", &*granted), ("{other}", &other), ("{long}", &long)];
    let cases = suite::cases_of("http.yaml", &values);
    assert!(cases.len() > 5, "the suite is not whole");
    suite::pass(&subject, &cases, &tokio());
    assert_eq!(servers.other.hits(), 0);
}
