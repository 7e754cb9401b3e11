//! A client of the pages of views.

use crate::harness::{Weir, wait_for};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn is_problem(&self, status: u16, words: &str) -> bool {
        let kind = self.headers.get("content-type").map(String::as_str);
        let is_one = kind == Some("application/problem+json");
        is_one && self.status == status && self.text().contains(words)
    }
}

/// Connects to the pages of a host, and asks. An answer of HTTP 1.0 ends with its connection.
pub fn connect(
    weir: &Weir,
    method: &str,
    page: &str,
    headers: &[(&str, &str)],
) -> BufReader<TcpStream> {
    let mut connection = TcpStream::connect(weir.address_of("status")).unwrap();
    let mut request = format!("{method} {page} HTTP/1.0\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    connection
        .write_all(format!("{request}\r\n").as_bytes())
        .unwrap();
    BufReader::new(connection)
}

pub fn head(connection: &mut BufReader<TcpStream>) -> (u16, HashMap<String, String>) {
    let mut line = || {
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let status = line().split(' ').nth(1).unwrap().parse().unwrap();
    let lines = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty()));
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase(), value.to_owned())
    });
    (status, headers.collect())
}

pub fn ask(weir: &Weir, method: &str, page: &str, headers: &[(&str, &str)]) -> Answer {
    let mut connection = connect(weir, method, page, headers);
    let (status, headers) = head(&mut connection);
    let mut body = Vec::new();
    connection.read_to_end(&mut body).unwrap();
    Answer {
        status,
        headers,
        body,
    }
}

pub fn get(weir: &Weir, page: &str) -> Answer {
    ask(weir, "GET", page, &[])
}

#[track_caller]
pub fn wait_for_value(weir: &Weir, page: &str, value: &str) -> Answer {
    wait_for(&format!("{page} says {value:?}"), || {
        let answer = get(weir, page);
        match (answer.status, answer.text() == value) {
            (200, true) => Ok(answer),
            _ => Err(format!("{answer:?}")),
        }
    })
}

/// All pages of a view: keys with their values, and how many pages there were.
pub fn pages(weir: &Weir, view: &str, query: &str) -> (BTreeMap<String, Value>, usize) {
    let (mut found, mut after, mut count) = (BTreeMap::new(), 0, 0);
    loop {
        let page = get(weir, &format!("/views/{view}?after={after}{query}")).json();
        count += 1;
        for entry in page["entries"].as_array().unwrap() {
            let key = entry["key"].as_str().unwrap().to_owned();
            found.insert(key, entry["value"].clone());
        }
        after = page["after"].as_u64().unwrap();
        if page["more"] == false {
            return (found, count);
        }
    }
}

/// A watch of a view.
pub struct Watch(BufReader<TcpStream>);

impl Watch {
    pub fn of(weir: &Weir, page: &str, headers: &[(&str, &str)]) -> Self {
        let mut connection = connect(weir, "GET", page, headers);
        let (status, headers) = head(&mut connection);
        assert_eq!(
            (status, &*headers["content-type"]),
            (200, "text/event-stream")
        );
        Self(connection)
    }

    /// The next event: its id, and its data. None at the end.
    pub fn next(&mut self) -> Option<(u64, Value)> {
        let (mut id, mut data) = (None, String::new());
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap_or_default() == 0 {
                return None;
            }
            let line = line.trim_end_matches('\n');
            if let Some(rest) = line.strip_prefix("id: ") {
                id = Some(rest.parse().unwrap());
            } else if let Some(rest) = line.strip_prefix("data: ") {
                data += rest;
            } else if let (true, Some(id)) = (line.is_empty(), id) {
                return Some((id, serde_json::from_str(&data).unwrap()));
            }
        }
    }
}
