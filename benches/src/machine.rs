//! What the figures were taken on: the machine, the day, the versions.
#![forbid(unsafe_code)]

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// The crates that a reader wants to know the version of.
const CRATES: &[&str] = &[
    "tokio",
    "smol",
    "may",
    "async-channel",
    "flume",
    "kanal",
    "crossfire",
    "hyper",
];

/// All of it.
pub(crate) fn describe() -> Value {
    let mut versions = Map::new();
    let mut add = |name: &str, version: Option<String>| {
        if let Some(version) = version {
            versions.insert(name.to_owned(), version.into());
        }
    };
    add("rustc", second_word("rustc", &["--version"], 1));
    add("go", second_word("go", &["version"], 2));
    for name in CRATES {
        add(name, locked(include_str!("../../Cargo.lock"), name));
    }
    json!({
        "date": date(),
        "cpu": cpu(),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "kernel": kernel(),
        "load": load(),
        "versions": versions,
    })
}

/// The mean number of runnable threads of the last minute: above a fraction, somebody else was at
/// work.
pub(crate) fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// One line for people.
pub(crate) fn line(machine: &Value) -> String {
    let text = |key: &str| machine[key].as_str().unwrap_or("unknown").to_owned();
    let mut line = format!(
        "{}, {} with {} cores, Linux {}",
        text("date"),
        text("cpu"),
        machine["cores"],
        text("kernel")
    );
    if let Some(versions) = machine["versions"].as_object() {
        for (name, version) in versions {
            line += &format!(", {name} {}", version.as_str().unwrap_or("?"));
        }
    }
    line
}

fn second_word(program: &str, args: &[&str], at: usize) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let word = text.split_whitespace().nth(at)?;
    Some(word.trim_start_matches("go").to_owned())
}

fn cpu() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The numbers alone: what follows them names who built it.
fn kernel() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(release.split('-').next()?.trim().to_owned())
}

/// The newest version in a lock file.
fn locked(lock: &str, name: &str) -> Option<String> {
    let start = format!("name = \"{name}\"\nversion = \"");
    let version = lock.rsplit_once(&start)?.1;
    Some(version.split('"').next()?.to_owned())
}

/// Today in UTC.
fn date() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    civil(now.map_or(0, |now| now.as_secs() / 86_400) as i64)
}

/// The date so many days after the first of January 1970, by Howard Hinnant's `civil_from_days`:
/// years that begin in March, in eras of 400.
fn civil(days: i64) -> String {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates_over_leap_years() {
        for (days, text) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (19_783, "2024-03-01"),
            (20_453, "2025-12-31"),
        ] {
            assert_eq!(civil(days), text);
        }
    }

    #[test]
    fn the_lock_file_names_every_peer_s_version() {
        for name in CRATES {
            let version = locked(include_str!("../../Cargo.lock"), name);
            assert!(version.is_some_and(|v| v.contains('.')), "{name}");
        }
    }
}
