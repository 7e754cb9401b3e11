//! The bottleneck of a run, derived from what was busy. Pure: numbers in, a verdict and a sentence out.

use serde::Serialize;

/// A lane that computes this much of the time is at its limit. It leaves the core briefly even if there is
/// always work.
const LANE_FULL: f64 = 0.85;
/// The share of all cores above which the machine is full.
const MACHINE_FULL: f64 = 0.9;
/// A lane that waits for a core this much of the time would be faster with more cores.
const QUEUED: f64 = 0.25;
/// A server with this many busy cores is at its limit for one stream, although it uses several threads.
const SERVER_FULL: f64 = 0.95;
/// A lane that spends this much of its time in plugins does little else.
const IN_PLUGINS: f64 = 0.75;
/// A window that is this full on average limits the lane.
const WINDOW_FULL: f64 = 0.9;
/// With this many retries per message, the end of the run waits for them.
const RETRIED: f64 = 0.05;

/// The load of each part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    /// Cores of the machine.
    pub(super) cores: f64,
    /// Cores used by each part.
    pub(super) host: f64,
    pub(super) server: f64,
    pub(super) own: f64,
    /// Shares of a lane's time: on a core, waiting for one, in calls of plugins.
    pub(super) lane_busy: f64,
    pub(super) lane_queued: f64,
    pub(super) lane_in_plugins: f64,
    /// The share of the plugins in the host's processor time.
    pub(super) plugins: f64,
    /// Messages delivered and not settled, as a share of the limit.
    pub(super) window: f64,
    /// Retries for each message.
    pub(super) retries: f64,
    /// Whether every operator is `trusted`.
    pub(super) trusted: bool,
    /// Whether an operator has `isolation: message`.
    pub(super) isolated: bool,
}

/// The bottleneck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Bound {
    /// All cores are busy.
    Machine,
    /// The lanes, mainly with plugins.
    Plugins,
    /// The lanes, mainly with the host's own work.
    Host,
    Server,
    /// The lanes wait in plugins that do not compute.
    PluginsWait,
    /// Messages wait for their next attempt.
    Retries,
    /// The limit of messages in flight is reached.
    Window,
    /// Nothing is busy: fetches and acks are in transit.
    Waiting,
}

/// The verdict.
pub(super) fn decide(load: &Load) -> Bound {
    let taken = load.host + load.server + load.own;
    if taken >= MACHINE_FULL * load.cores || load.lane_queued >= QUEUED {
        return Bound::Machine;
    }
    if load.lane_busy >= LANE_FULL {
        return if load.plugins >= 0.5 {
            Bound::Plugins
        } else {
            Bound::Host
        };
    }
    if load.lane_in_plugins >= IN_PLUGINS {
        return Bound::PluginsWait;
    }
    if load.server >= SERVER_FULL {
        return Bound::Server;
    }
    if load.retries >= RETRIED {
        return Bound::Retries;
    }
    if load.window >= WINDOW_FULL {
        return Bound::Window;
    }
    Bound::Waiting
}

/// The verdict in a sentence, with its numbers and what would help.
pub(super) fn sentence(bound: Bound, load: &Load) -> String {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let (busy, plugins) = (percent(load.lane_busy), percent(load.plugins));
    match bound {
        Bound::Machine => {
            let taken = load.host + load.server + load.own;
            let most = if load.server >= load.host {
                "the server"
            } else if load.plugins >= 0.5 {
                "the plugins"
            } else {
                "the host"
            };
            let (others, help) = if taken < MACHINE_FULL * load.cores {
                (
                    ", so other programs use the rest",
                    "fewer of them, or more cores,",
                )
            } else {
                ("", "more cores, or the server on another machine,")
            };
            format!(
                "the machine: a lane waits for a core {} of the time, and {taken:.1} of {:.0} cores are \
                 used by the bench, most by {most}{others}; {help} would help",
                percent(load.lane_queued),
                load.cores,
            )
        }
        Bound::Plugins => {
            let trusted = if load.trusted {
                ""
            } else {
                ", `trusted: true` if you are their author"
            };
            let isolated = if load.isolated {
                ", `isolation: lane` if messages may share an instance"
            } else {
                ""
            };
            format!(
                "the plugins: each lane computes {busy} of the time, {plugins} of that in plugins; faster \
                 plugins would help{trusted}{isolated}, or more `lanes`"
            )
        }
        Bound::Host => format!(
            "the host: each lane computes {busy} of the time, {plugins} of that in plugins; fewer headers \
             and results would help, or more `lanes`"
        ),
        Bound::Server => format!(
            "the server: it keeps {:.1} cores busy, while a lane computes {busy} of the time; faster \
             storage, or fewer results per message, would help",
            load.server
        ),
        Bound::PluginsWait => format!(
            "plugins that wait: a lane spends {} of its time in plugin calls and computes {busy} of it; more \
             `lanes` would wait in parallel",
            percent(load.lane_in_plugins),
        ),
        Bound::Retries => format!(
            "retries: there were {:.2} per message, and the run waits for the last ones; nothing is busy",
            load.retries
        ),
        Bound::Window => format!(
            "the window: {} of the messages that may be in flight are waiting for acks, and nothing is busy; \
             a higher `in-flight.max-messages` and `source.max-ack-pending` would help",
            percent(load.window)
        ),
        Bound::Waiting => format!(
            "waiting: a lane computes {busy} of the time, the server keeps {:.1} cores busy; fetches and \
             acks are in transit, or the disk is slow; more `lanes` would help",
            load.server,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Load, decide, sentence};

    const IDLE: Load = Load {
        cores: 8.0,
        host: 0.4,
        server: 0.5,
        own: 0.01,
        lane_busy: 0.35,
        lane_queued: 0.01,
        lane_in_plugins: 0.1,
        plugins: 0.3,
        window: 0.2,
        retries: 0.0,
        trusted: false,
        isolated: false,
    };

    #[test]
    fn a_full_machine_is_named_before_any_process_on_it() {
        let both = Load {
            cores: 2.0,
            host: 0.9,
            server: 1.0,
            lane_busy: 0.9,
            ..IDLE
        };
        assert_eq!(decide(&both), Bound::Machine);
        let others = Load {
            lane_queued: 0.4,
            ..IDLE
        };
        assert_eq!(decide(&others), Bound::Machine);
    }

    #[test]
    fn a_full_lane_is_the_plugins_or_the_hosts() {
        let full = Load {
            host: 1.1,
            server: 1.6,
            lane_busy: 0.97,
            ..IDLE
        };
        assert_eq!(decide(&full), Bound::Host);
        let full = Load {
            plugins: 0.7,
            ..full
        };
        assert_eq!(decide(&full), Bound::Plugins);
        assert!(sentence(Bound::Plugins, &full).contains("`trusted: true`"));
        let isolated = Load {
            isolated: true,
            ..full
        };
        assert!(sentence(Bound::Plugins, &isolated).contains("`isolation: lane`"));
        let load = Load {
            trusted: true,
            ..full
        };
        let text = sentence(Bound::Plugins, &load);
        assert!(!text.contains("trusted"), "{text}");
    }

    #[test]
    fn a_busy_server_before_lanes_that_are_not() {
        let server = Load {
            server: 1.3,
            ..IDLE
        };
        assert_eq!(decide(&server), Bound::Server);
    }

    #[test]
    fn a_lane_that_waits_in_a_plugin_is_no_busy_lane() {
        let waits = Load {
            lane_in_plugins: 0.9,
            ..IDLE
        };
        assert_eq!(decide(&waits), Bound::PluginsWait);
    }

    #[test]
    fn where_nobody_is_busy_something_is_waited_for() {
        assert_eq!(decide(&IDLE), Bound::Waiting);
        let window = Load {
            window: 0.95,
            ..IDLE
        };
        assert_eq!(decide(&window), Bound::Window);
        let retries = Load {
            retries: 0.5,
            ..window
        };
        assert_eq!(decide(&retries), Bound::Retries);
    }

    #[test]
    fn every_verdict_shows_the_numbers_it_rests_on() {
        use Bound::{Host, Machine, Plugins, PluginsWait, Retries, Server, Waiting, Window};
        for (bound, number) in [
            (Machine, "0.9 of 8 cores"),
            (Plugins, "30 %"),
            (Host, "35 %"),
            (Server, "0.5 cores"),
            (PluginsWait, "10 %"),
            (Retries, "0.00 per message"),
            (Window, "20 %"),
            (Waiting, "35 %"),
        ] {
            let text = sentence(bound, &IDLE);
            assert!(text.contains(number), "{text}");
        }
    }
}
