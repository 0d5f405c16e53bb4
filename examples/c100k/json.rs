//! The outcome as JSON, one object, for programs. Written by hand: it is one flat object of numbers
//! and strings.
//!
//! | key | what it is |
//! |---|---|
//! | `ok` | whether every connection was held and every byte was right |
//! | `connections_asked`, `connections_held`, `connections_failed` | counts; held: opened, accepted and answered once |
//! | `messages_echoed`, `messages_wrong` | counts, the first message of each connection included |
//! | `rounds`, `in_flight` | as run |
//! | `server_processes`, `client_processes` | how many; 0 for an end that was not ours |
//! | `open_files_per_process`, `connections_per_source` | limits that the plan kept to; the latter 0 if the system chose addresses |
//! | `fullest_server` | the most connections that one server process held |
//! | `latency_p50_us`, `latency_p99_us`, `latency_p999_us`, `latency_max_us` | of the rounds' messages, microseconds |
//! | `accepts_per_second` | connections opened, accepted and answered once a second, while connecting |
//! | `messages_per_second` | while the rounds ran |
//! | `server_bytes_per_connection` | growth of the servers' resident memory over their empty state, for each connection |
//! | `server_private_bytes_per_connection` | the same of the memory that they share with no other process |
//! | `kernel_bytes_per_connection` | growth of the kernel's memory, for both ends of each connection |
//! | `idle_cpu_ms`, `idle_wakeups` | of all servers together, while all connections were idle |
//! | `start_s`, `connect_s`, `idle_s`, `rounds_s`, `close_s`, `total_s` | how long each phase took, seconds |
//! | `errors` | list of strings: what connections failed of |
//! | `trouble` | string: why the run was cut short |
//!
//! What was not measured, or could not be read, is `null`.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::time::Duration;

use crate::report::Report;

pub(crate) fn to_json(report: &Report) -> String {
    let time = &report.time;
    let micros = |d: Option<Duration>| number(d.map(|d| d.as_secs_f64() * 1e6));
    let seconds = |d: Option<Duration>| number(d.map(|d| d.as_secs_f64()));
    let count = |n: u64| n.to_string();
    let maybe = |n: Option<u64>| n.map_or_else(null, count);
    let fields = [
        ("ok", report.good().to_string()),
        ("connections_asked", count(report.asked)),
        ("connections_held", count(report.held)),
        ("connections_failed", count(report.failed)),
        ("messages_echoed", count(report.echoed)),
        ("messages_wrong", count(report.wrong)),
        ("rounds", count(report.rounds)),
        ("in_flight", count(report.in_flight)),
        ("server_processes", count(report.server_processes)),
        ("client_processes", count(report.client_processes)),
        ("open_files_per_process", count(report.open_files)),
        ("connections_per_source", count(report.per_source)),
        ("fullest_server", maybe(report.fullest_server)),
        ("latency_p50_us", micros(report.percentile(500))),
        ("latency_p99_us", micros(report.percentile(990))),
        ("latency_p999_us", micros(report.percentile(999))),
        ("latency_max_us", micros(report.slowest())),
        ("accepts_per_second", number(report.accept_rate())),
        ("messages_per_second", number(report.message_rate())),
        (
            "server_bytes_per_connection",
            number(report.server_resident),
        ),
        (
            "server_private_bytes_per_connection",
            number(report.server_private),
        ),
        ("kernel_bytes_per_connection", number(report.kernel)),
        (
            "idle_cpu_ms",
            number(report.idle_cpu.map(|d| d.as_secs_f64() * 1e3)),
        ),
        ("idle_wakeups", maybe(report.idle_wakeups)),
        ("start_s", seconds(time.start)),
        ("connect_s", seconds(time.connect)),
        ("idle_s", seconds(time.idle)),
        (
            "rounds_s",
            seconds((!time.rounds.is_empty()).then(|| time.rounds.iter().sum())),
        ),
        ("close_s", seconds(time.close)),
        ("total_s", seconds(Some(time.total))),
        ("errors", list(&report.errors)),
        (
            "trouble",
            report.trouble.as_deref().map_or_else(null, string),
        ),
    ];
    let lines: Vec<_> = fields
        .iter()
        .map(|(key, value)| format!("  {}: {value}", string(key)))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn null() -> String {
    "null".to_owned()
}

fn number(value: Option<f64>) -> String {
    value
        .filter(|v| v.is_finite())
        .map_or_else(null, |v| format!("{v:.3}"))
}

fn list(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|item| string(item)).collect();
    format!("[{}]", items.join(", "))
}

fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string("a \"b\" \\ \n"), r#""a \"b\" \\ \u000a""#);
    }

    #[test]
    fn what_was_not_measured_is_null() {
        let json = to_json(&Report::default());
        assert!(json.contains("\"server_bytes_per_connection\": null"));
        assert!(json.contains("\"trouble\": null"));
        assert!(json.contains("\"errors\": []"));
    }
}
