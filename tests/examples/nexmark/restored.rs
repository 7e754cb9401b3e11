//! The same over savepoints: other hosts go on from them, as many as others, with another number of partitions.

use super::*;
use std::collections::BTreeMap;

/// The first and the last hosts have as many partitions as the files say.
const FEWER: usize = 3;

/// All queries in some hosts.
struct Running {
    site: Site,
    hosts: Vec<Weir>,
    /// How many results of each query there were when they were started.
    before: BTreeMap<String, u64>,
}

impl Running {
    /// Starts so many hosts, with another number of partitions where there is one.
    fn start(&mut self, hosts: usize, partitions: Option<usize>, ends: bool) {
        let directory = self.site.folder.path();
        let _ = std::fs::remove_dir_all(directory.join("nexmark"));
        let files = install_common(directory);
        for file in &files {
            let mut text = std::fs::read_to_string(self.site.path(file)).unwrap();
            let idle = (", idle-timeout: 1s", "");
            if !ends && text.contains(idle.0) {
                text = replaced(&text, &[idle]);
            }
            if let Some(partitions) = partitions.filter(|_| has_partitions(&text)) {
                text += &format!("partitions: {partitions}\n");
            }
            self.site.file(file, text);
        }
        let client = self.site.nats.client();
        let results = common().into_iter().map(|query| query.stream());
        let results = results.map(|stream| (stream.clone(), client.count(&stream)));
        self.before = results.collect();
        self.hosts = (0..hosts).map(|_| run(&self.site, &files)).collect();
    }

    fn publish(&self, events: &[Event]) {
        let messages = events.iter().map(|event| event.message().unwrap());
        let messages: Vec<Message> = messages.collect();
        let work = async { streams(&self.site).await.publish(messages).await };
        self.site.nats.client().run(work).unwrap();
    }

    /// Waits until these events, which are all since the hosts were started, are processed, and their results stored.
    fn settle(&self, events: &[Event]) {
        let client = self.site.nats.client();
        let new = |stream: &str| client.count(stream) - self.before[stream];
        for query in common() {
            let counted = |name: &str| -> f64 {
                let name = format!("weir_{name}_total{{pipeline=\"{}\"}}", query.pipeline());
                self.hosts.iter().map(|host| host.metric(&name)).sum()
            };
            wait_for(&format!("{} has processed all", query.name), || {
                let inputs = match query.reads {
                    [] => new("NEXMARK_WINNING_BIDS"),
                    _ => query.inputs(events) as u64,
                };
                let processed = (counted("acked"), counted("published"));
                let expected = (inputs as f64, new(&query.stream()) as f64);
                match processed == expected {
                    true => Ok(()),
                    false => Err(format!("{processed:?} of {expected:?}")),
                }
            });
        }
    }

    /// Stops the hosts, and goes on with what a savepoint of this name has.
    fn restore(&mut self, name: &str, partitions: usize) {
        let job = |arguments: &[&str]| {
            let arguments = [&["job", "savepoint"], arguments].concat();
            self.site.weir(&arguments).done();
        };
        for query in common() {
            job(&["create", &query.pipeline(), "--name", name]);
        }
        self.hosts.clear();
        let number = partitions.to_string();
        for query in common() {
            let restore = ["restore", &query.pipeline(), name, "--yes"];
            let text = std::fs::read_to_string(self.site.path(&file(query))).unwrap();
            match has_partitions(&text) {
                true => job(&[&restore[..], &["--partitions", &number]].concat()),
                false => job(&restore),
            }
        }
    }
}

/// Whether the number of partitions can be another: not for the whole stream in its order.
fn has_partitions(text: &str) -> bool {
    text.contains("\nkey: ")
}

#[test]
fn the_queries_of_nexmark_come_to_the_same_rows_from_savepoints_with_other_partitions_and_hosts() {
    let events = golden::events().unwrap();
    let thirds: Vec<&[Event]> = events.chunks(events.len().div_ceil(3)).collect();
    let mut running = Running {
        site: site(&[]),
        hosts: Vec::new(),
        before: BTreeMap::new(),
    };
    running.start(1, None, false);
    running.publish(thirds[0]);
    running.settle(thirds[0]);
    running.restore("first", FEWER);
    running.start(2, Some(FEWER), false);
    running.publish(thirds[1]);
    running.settle(thirds[1]);
    running.restore("second", 8);
    running.publish(thirds[2]);
    running.start(1, None, true);
    wait_until_right(&running.site, &running.hosts[0], &common(), &events);
}
