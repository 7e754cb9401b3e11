//! What bounds a run, told from who was busy. Pure: numbers in, a verdict and a sentence out.

use serde::Serialize;

/// A lane computes so much of the time that it can do no more. It leaves the core for moments even
/// when there is always work.
const LANE_FULL: f64 = 0.85;
/// So much of all cores is all that can be had.
const MACHINE_FULL: f64 = 0.9;
/// A lane that waits for a core this much of the time would be faster with more of them.
const QUEUED: f64 = 0.25;
/// A server this busy works as fast as it can on one stream, though not all its work is one thread's.
const SERVER_FULL: f64 = 0.95;
/// A lane that spends so much of its time in plugins does little else.
const IN_PLUGINS: f64 = 0.75;
/// A window that is so full on the average is what holds the lane back.
const WINDOW_FULL: f64 = 0.9;
/// Messages that are retried so often make the end wait for them.
const RETRIED: f64 = 0.05;

/// Who did how much.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    /// Of the machine.
    pub(super) cores: f64,
    /// Cores taken by each.
    pub(super) host: f64,
    pub(super) server: f64,
    pub(super) own: f64,
    /// Shares of a lane's time: on a core, waiting for one, in calls of plugins.
    pub(super) lane_busy: f64,
    pub(super) lane_queued: f64,
    pub(super) lane_in_plugins: f64,
    /// The share of the plugins in the host's processor time.
    pub(super) plugins: f64,
    /// Messages delivered and not settled, of the most that there may be.
    pub(super) window: f64,
    /// Retries for each message.
    pub(super) retries: f64,
    /// Whether another lane is possible.
    pub(super) may_add_lanes: bool,
    /// Whether every operator is `trusted`.
    pub(super) trusted: bool,
    /// Whether an operator has `isolation: message`.
    pub(super) isolated: bool,
}

/// What would have to be faster, or more, for the whole to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Bound {
    /// All cores are taken.
    Machine,
    /// The lanes, mostly with the plugins.
    Plugins,
    /// The lanes, mostly with the host's own work.
    Host,
    Server,
    /// The lanes wait in plugins that do not compute.
    PluginsWait,
    /// Messages wait for their next attempt.
    Retries,
    /// No more may be in hand at once.
    Window,
    /// Nobody is busy: fetches and acks are on their way.
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

/// The verdict in a sentence, with the numbers it rests on and what to do about it.
pub(super) fn sentence(bound: Bound, load: &Load) -> String {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let (busy, plugins) = (percent(load.lane_busy), percent(load.plugins));
    let lanes = if load.may_add_lanes {
        ", or more `lanes`"
    } else {
        ""
    };
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
                    ", so other programs must have the rest",
                    "fewer of those, or more cores,",
                )
            } else {
                ("", "more cores, or the server on another machine,")
            };
            format!(
                "the machine: a lane waits for a core {} of the time, and {taken:.1} of {:.0} cores are \
                 taken by all parts of this{others}; {most} takes the most; {help} would help",
                percent(load.lane_queued),
                load.cores,
            )
        }
        Bound::Plugins => {
            let trusted = if load.trusted {
                ""
            } else {
                ", `trusted: true` if their author is you"
            };
            let isolated = if load.isolated {
                ", `isolation: lane` where messages may share an instance"
            } else {
                ""
            };
            format!(
                "the plugins: each lane computes {busy} of the time, {plugins} of that in plugins; faster \
                 plugins would help{trusted}{isolated}{lanes}"
            )
        }
        Bound::Host => format!(
            "the host: each lane computes {busy} of the time, {plugins} of that in plugins; fewer headers \
             and results would help{lanes}"
        ),
        Bound::Server => format!(
            "the server: it keeps {:.1} cores busy, while a lane computes {busy} of the time; another \
             storage, or fewer results for a message, would help",
            load.server
        ),
        Bound::PluginsWait => format!(
            "plugins that wait: a lane spends {} of its time in their calls and computes {busy} of it{}",
            percent(load.lane_in_plugins),
            if load.may_add_lanes {
                "; more `lanes` would wait at the same time"
            } else {
                ""
            }
        ),
        Bound::Retries => format!(
            "retries: there were {:.2} for each message, and the last wait for their time; nobody is busy",
            load.retries
        ),
        Bound::Window => format!(
            "the window: {} of the messages that may be in hand are waiting for acks, and nobody is busy; \
             more `in-flight.max-messages` and `source.max-ack-pending` would help",
            percent(load.window)
        ),
        Bound::Waiting => format!(
            "waiting: a lane computes {busy} of the time, the server keeps {:.1} cores busy; fetches and \
             acks are on their way to and fro, or the disk is slow{lanes_help}",
            load.server,
            lanes_help = if load.may_add_lanes {
                "; more `lanes` would help"
            } else {
                ""
            }
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
        may_add_lanes: true,
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
        let told = Load {
            trusted: true,
            may_add_lanes: false,
            ..full
        };
        let text = sentence(Bound::Plugins, &told);
        assert!(
            !text.contains("trusted") && !text.contains("lanes`"),
            "{text}"
        );
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
            (Retries, "0.00 for each"),
            (Window, "20 %"),
            (Waiting, "35 %"),
        ] {
            let text = sentence(bound, &IDLE);
            assert!(text.contains(number), "{text}");
        }
    }
}
