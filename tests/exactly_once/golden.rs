//! Pipelines of the standard plugins come to the results that the tests of other engines expect (`tests/golden`) in three ways: in
//! one go; with a host that is killed in the middle; and with savepoints in the middle, which other hosts go on from, as
//! many as others, with another number of partitions.

mod arroyo;
mod nexmark;

use crate::examples::killed::wait_until_read;
use crate::harness::{Site, Stored, Weir, guests, repository, wait_for, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;

/// Results by how often there are such.
pub(super) type Rows = BTreeMap<String, usize>;

/// Behind all messages of all cases, once and again: the windows of the first end with the second.
const ENDS: [&str; 2] = ["2024-06-01T00:00:00Z", "2025-06-01T00:00:00Z"];

/// How a case is run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Once,
    Killed,
    Restored,
}

/// A job: what it reads and publishes is by its place in the chain.
struct Job<'a> {
    /// In the file, beside the source and the sink: the key, and the times.
    more: &'a str,
    /// Each a plugin by its name, and what stands with it.
    operators: &'a [(&'a str, &'a str)],
}

/// A case: the messages, the jobs one behind the other, and the results that are to come of them.
struct Case<'a> {
    /// Subject and payload, with its time as `timestamp` and with `user`.
    messages: Vec<(String, Value)>,
    jobs: &'a [Job<'a>],
    expected: Vec<Value>,
    /// Of the results that have this in common the last one counts.
    last_of: Option<&'a str>,
}

fn text(name: &str) -> String {
    std::fs::read_to_string(repository().join("tests/golden").join(name)).unwrap()
}

pub(super) fn lines(name: &str) -> Vec<Value> {
    let text = text(name);
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(super) fn rows(values: impl IntoIterator<Item = Value>) -> Rows {
    let mut rows = Rows::new();
    for value in values {
        let fields = value.as_object().unwrap().iter();
        let fields: BTreeMap<&String, String> =
            fields.map(|(name, value)| (name, normal(value))).collect();
        *rows.entry(format!("{fields:?}")).or_default() += 1;
    }
    rows
}

/// The same text for the same time, for the same number in four digits, and for the same words.
fn normal(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{:.4}", number.as_f64().unwrap()),
        Value::String(text) => match text.trim_end_matches('Z').parse::<jiff::civil::DateTime>() {
            Ok(time) => time.to_string(),
            Err(_) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        },
        other => other.to_string(),
    }
}

/// The streams of a chain of jobs, and the subjects of which they are.
const STREAMS: [(&str, &str); 3] = [("IN", "in"), ("OUT", "out"), ("END", "end")];
const NAMES: [&str; 2] = ["p", "q"];

/// A case that runs.
struct Running<'a> {
    case: &'a Case<'a>,
    site: Site,
    hosts: Vec<Weir>,
    /// How many messages each stream has had when the hosts were started.
    before: Vec<u64>,
}

impl Case<'_> {
    fn holds(&self) {
        let expected = self.rows(self.expected.iter().cloned());
        let holds = &|way| {
            let running = Running {
                case: self,
                site: Site::new(),
                hosts: Vec::new(),
                before: Vec::new(),
            };
            running.install();
            assert_eq!(running.results(way, &expected), expected, "{way:?}");
        };
        // At the same time: they mostly wait for hosts to find each other.
        std::thread::scope(|scope| {
            for way in [Way::Once, Way::Killed, Way::Restored] {
                scope.spawn(move || holds(way));
            }
        });
    }

    fn rows(&self, values: impl Iterator<Item = Value>) -> Rows {
        let Some(name) = self.last_of else {
            return rows(values);
        };
        let last: BTreeMap<String, Value> =
            values.map(|row| (row[name].to_string(), row)).collect();
        rows(last.into_values())
    }
}

impl Running<'_> {
    fn install(&self) {
        let operators = self.case.jobs.iter().flat_map(|job| job.operators);
        for (plugin, _) in operators {
            let component = match *plugin {
                "nexmark" => guests::example(plugin),
                plugin => guests::plugin(plugin),
            };
            let component = std::fs::read(component).unwrap();
            self.site.file(&format!("{plugin}.wasm"), component);
        }
    }

    /// Starts so many hosts for all jobs.
    fn start(&mut self, hosts: usize, partitions: usize) {
        let mut arguments = vec!["--create".to_owned()];
        for (place, job) in self.case.jobs.iter().enumerate() {
            let (name, url) = (NAMES[place], self.site.nats.url());
            let ([(from, _), (to, subject)], more) =
                ([STREAMS[place], STREAMS[place + 1]], job.more);
            let operators = job.operators.iter().map(|(plugin, more)| {
                format!(
                    "  - {{ name: {plugin}, plugin: {plugin}.wasm, limits: {{ deadline: 1m }}, {more} }}\n"
                )
            });
            let operators: String = operators.collect();
            let text = format!(
                "name: {name}\nnats: {{ url: \"{url}\" }}\nsource: {{ stream: {from} }}\ndelivery: exactly-once\n\
                 partitions: {partitions}\n{more}\noperators:\n{operators}\
                 sink: {{ subject: \"{subject}.{{key}}\", stream: {to}, create: true }}\n"
            );
            let file = self.site.file(&format!("{name}.yaml"), text);
            arguments.push(file.to_str().unwrap().to_owned());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let client = self.site.nats.client();
        self.before = STREAMS.map(|(stream, _)| client.count(stream)).into();
        for _ in 0..hosts {
            let weir = self.site.start_with(&arguments, &[]);
            wait_until("a host runs", || {
                weir.stderr().matches("running").count() >= self.case.jobs.len()
            });
            self.hosts.push(weir);
        }
        if hosts > 1 {
            wait_until("every host has partitions of every job", || {
                let status = self.site.weir(&["status"]).stdout;
                let own = |line: &&str| line.contains("owns ") && !line.contains("owns 0 ");
                status.lines().filter(own).count() == hosts * self.case.jobs.len()
            });
        }
    }

    fn publish(&self, messages: &[(String, Value)]) {
        let messages = messages.iter();
        let messages = messages.map(|(subject, it)| (subject.clone(), it.to_string()));
        self.site.nats.client().publish_all(messages);
    }

    /// How much of a job's source its hosts have processed.
    fn processed(&self, job: &str) -> f64 {
        self.counted("acked_total", job)
    }

    fn counted(&self, name: &str, job: &str) -> f64 {
        let name = format!("weir_{name}{{pipeline=\"{job}\"}}");
        self.hosts.iter().map(|host| host.metric(&name)).sum()
    }

    /// Waits until all that was published since the hosts were started is processed, and stored where it is to be.
    fn settle(&self) {
        let client = self.site.nats.client();
        let new = |place: usize| (client.count(STREAMS[place].0) - self.before[place]) as f64;
        for (place, job) in NAMES[..self.case.jobs.len()].iter().enumerate() {
            wait_for(&format!("{job} has processed all"), || {
                let processed = (self.processed(job), self.counted("published_total", job));
                let expected = (new(place), new(place + 1));
                match processed == expected {
                    true => Ok(()),
                    false => Err(format!("{processed:?} of {expected:?}")),
                }
            });
        }
    }

    /// Goes on from a savepoint with so many hosts and partitions.
    fn restore(&mut self, savepoint: &str, hosts: usize, partitions: usize) {
        self.settle();
        let jobs = &NAMES[..self.case.jobs.len()];
        for job in jobs {
            let create = ["savepoint", "create", job, "--name", savepoint];
            self.site.operate(&create);
        }
        self.hosts.clear();
        let number = partitions.to_string();
        for job in jobs {
            let restore = ["savepoint", "restore", job, savepoint, "--yes"];
            self.site
                .operate(&[&restore[..], &["--partitions", &number]].concat());
        }
        self.start(hosts, partitions);
    }

    fn results(mut self, way: Way, expected: &Rows) -> Rows {
        let messages = &self.case.messages;
        let ends = ENDS.map(|time| {
            let mut end = messages.last().unwrap().clone();
            end.1["timestamp"] = time.into();
            end.1["user"] = "end".into();
            end
        });
        // The results of the first end are the end of the next job.
        let ends = &ends[2 - self.case.jobs.len()..];
        let quarters: Vec<&[(String, Value)]> =
            messages.chunks(messages.len().div_ceil(4)).collect();
        self.start(1, 1);
        self.publish(&quarters[..2].concat());
        match way {
            Way::Once => {}
            Way::Killed => {
                wait_until("some are processed", || self.processed("p") > 0.0);
                self.hosts.remove(0).kill9();
                self.start(1, 1);
            }
            Way::Restored => self.restore("half", 2, 3),
        }
        self.publish(quarters[2]);
        if way == Way::Restored {
            self.restore("more", 1, 1);
        }
        self.publish(quarters[3]);
        self.publish(ends);
        let stream = STREAMS[self.case.jobs.len()].0;
        let found = || {
            let found = self.site.nats.client().messages(stream);
            self.case.rows(found.iter().map(Stored::json))
        };
        wait_for("the results are there", || match found() {
            found if found == *expected => Ok(()),
            found => Err(format!("{way:?}: {found:?}")),
        });
        wait_until_read(&self.hosts[0], &NAMES[..self.case.jobs.len()]);
        found()
    }
}
