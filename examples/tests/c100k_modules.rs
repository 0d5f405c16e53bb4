//! The unit tests inside the modules of `c100k`: cargo builds an example either to be run or to be
//! tested, and the other tests run it.
#![allow(dead_code, reason = "modules without the program that uses them")]

#[path = "../c100k/client.rs"]
mod client;
#[path = "../c100k/control.rs"]
mod control;
#[path = "../c100k/json.rs"]
mod json;
#[path = "../c100k/latency.rs"]
mod latency;
#[path = "../c100k/limits.rs"]
mod limits;
#[path = "../c100k/message.rs"]
mod message;
#[path = "../c100k/options.rs"]
mod options;
#[path = "../c100k/plan.rs"]
mod plan;
#[path = "../c100k/report.rs"]
mod report;
