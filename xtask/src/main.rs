//! `cargo xtask`: everything a person or a continuous integration machine does, in one word.
//!
//! Reads the words of the command line and calls the file of that name. This crate depends on
//! nothing but `anyhow`, so that it compiles in seconds on a machine that has only cargo; it
//! never links the `weir` package, it runs it.

mod bench;
mod ci;
mod demo;
mod deny;
mod fuzz;
mod instructions;
mod layout;
mod nemesis;
mod process;
mod readme;
mod setup;
mod standard;
mod test;
mod ui;
mod version;

use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
usage: cargo xtask <task> [arguments]

  setup            find or install nats-server and a Rust toolchain for WebAssembly
  setup --languages  that, and the tools of all languages that plugins are written in
  std              set up, then build the standard plugins, which the next build of weir embeds
  demo [COUNT]     set up, then run the rebates example over 100,000 events and check every cent
  demo clicks [COUNT]
                   set up, then join 100,000 impressions with their clicks, with hosts that are killed
                   half-way, and check every pair, burst and rate
  demo fraud [COUNT]
                   set up, then judge 200,000 card payments with a host that is killed half-way, and
                   check every alert
  demo iot [COUNT]
                   set up, then watch sensors over 100,000 readings with a host that is killed half-way,
                   and check every minute, day and alert
  demo nexmark [COUNT]
                   set up, then run the queries of NEXMark over 100,000 events with a host that is
                   killed half-way, and check every row
  test [ARGS...]   set up, then run every test; ARGS go to `cargo test`, a name filters
  bench [--quick] [--only SECTION,...]
                   set up, then measure weir beside a native loop with the same promises; sections
                   are {sections}
  bench --soak [--quick]
                   set up, then see whether memory is flat over ten million messages, which
                   takes most of an hour
  bench --languages [--quick]
                   set up, then measure what the same plugin costs in each language
  bench --instructions
                   set up, then count the instructions of a message, and hold them to their limits
  fuzz [--minutes N] [--seed S] [--only TARGET]
                   hand damaged inputs to all that reads what others wrote; 10 minutes unless said
  nemesis [--minutes N] [--seed S]
                   set up, then kill hosts and servers of a job, and compare every result; 10 minutes
                   unless said
  ci               what the continuous integration runs: format, lints, licences, README, instructions, tests
  readme           run the README's commands and compare what they print
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut words = words.iter().map(String::as_str);
    let task = words.next();
    let rest: Vec<&str> = words.collect();
    let done = match task {
        Some("setup") => set_up(&rest),
        Some("std") => without_arguments(&rest).and_then(|()| standard::run()),
        Some("demo") => demo::run(&rest),
        Some("bench") => bench::run(&rest),
        Some("test") => test::run(&rest),
        Some("fuzz") => fuzz::run(&rest),
        Some("nemesis") => nemesis::run(&rest),
        Some("ci") => without_arguments(&rest).and_then(|()| ci::run()),
        Some("readme") => without_arguments(&rest).and_then(|()| readme::run()),
        Some("help" | "--help" | "-h") => {
            print!("{}", usage());
            return ExitCode::SUCCESS;
        }
        other => {
            if let Some(word) = other {
                eprintln!("error: no task is called `{word}`\n");
            }
            eprint!("{}", usage());
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// The usage, with the names of what is listed elsewhere.
fn usage() -> String {
    USAGE.replace("{sections}", &bench::section_names())
}

fn set_up(arguments: &[&str]) -> Result<()> {
    let languages = match arguments {
        [] => false,
        ["--languages"] => true,
        other => anyhow::bail!("this task takes `--languages` or nothing, and got {other:?}"),
    };
    let mut tools = setup::run_for_tests()?;
    if languages {
        tools.find_languages();
        let mut skipped = ui::Skipped::default();
        tools.languages.tell(&mut skipped);
        skipped.print("setup");
    }
    Ok(())
}

fn without_arguments(rest: &[&str]) -> Result<()> {
    match rest.first() {
        None => Ok(()),
        Some(word) => anyhow::bail!("this task takes no arguments, and got `{word}`"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_usage_names_every_section_of_the_bench() {
        let usage = super::usage();
        let sections = "  are throughput, profile, delay, border, safety, start, swap, jobs, windows, nexmark, scale\n";
        assert!(usage.contains(sections), "{usage}");
    }
}
