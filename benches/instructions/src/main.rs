//! Instructions an operation, counted by callgrind: `cargo run --release -p instructions`.
//!
//! Time depends on what else the machine does, instructions hardly do. Each operation runs twice in
//! a process of its own, under `valgrind --tool=callgrind`, with one worker: so many times, and so
//! many more. The difference, divided, is what one costs, and what starting and ending cost has
//! gone. The result is held against `baseline.txt`; more than a twentieth above is a failure.
//! (Another machine has another C library and another kernel, so there more has to be tolerated.)
//!
//! ```text
//! cargo run --release -p instructions                  count, compare, fail above the baseline
//! cargo run --release -p instructions -- --write       count, and make that the baseline
//! cargo run --release -p instructions -- --only yield  one of them; a star ends a prefix
//! cargo run --release -p instructions -- --tolerance 25  per cent above the baseline that are no failure (5)
//! ```
//!
//! The kernel's instructions are not counted, nor is waiting: a bench that is ahead here can be
//! behind in time, but not the other way round without a reason. Where there is no valgrind it says
//! so and ends well.
#![forbid(unsafe_code)]

mod baseline;
mod count;
mod operations;

use std::path::Path;
use std::process::ExitCode;

use baseline::{Baseline, TOLERANCE, Verdict};
use count::Counted;

/// How often an operation that seems to cost too much is counted again at the most. A guess.
const MORE: u32 = 4;

/// What the command line asks for.
#[derive(Debug)]
struct Options {
    only: Option<String>,
    write: bool,
    /// A fraction.
    tolerance: f64,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("instructions: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing costs more than it did.
fn run() -> Result<bool, String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, name, times] = &args[..] {
        if mode == "--child" {
            let times = times.parse().map_err(|_| format!("{times} is no number"))?;
            operations::named(name)?.run(times);
            return Ok(true);
        }
    }
    let options = options(&args)?;
    let Some(valgrind) = count::valgrind() else {
        println!("not counted: there is no valgrind on the path");
        return Ok(true);
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.txt");
    let old = Baseline::read(&path)?;
    let mut new = Baseline::here();
    let binding = old.compiler == new.compiler;
    println!("{valgrind}, rustc {}\n", new.compiler);
    println!("| operation | instructions | baseline | |\n|---|---|---|---|");
    let mut good = true;
    for operation in operations::ALL {
        if !options.wants(operation.name) {
            // What was not counted stays as it was.
            if let Some(count) = old.count(operation.name) {
                new.put(operation.name, count);
            }
            continue;
        }
        let before = old.count(operation.name);
        let mut counted = Counted::new(operation)?;
        // The monitor's thread wakes up by the clock, and on a busy machine oftener in between:
        // what chance adds is not there each time.
        if options.write {
            counted = counted.again(operation)?;
        }
        for _ in 0..MORE {
            let seems = Verdict::of(counted.each(operation), before, options.tolerance);
            if seems == Verdict::Worse {
                counted = counted.again(operation)?;
            }
        }
        let count = counted.each(operation);
        new.put(operation.name, count);
        let verdict = Verdict::of(count, before, options.tolerance);
        good &= verdict != Verdict::Worse;
        println!(
            "| {} | {count:.1} | {} | {verdict} |",
            operation.what,
            before.map_or("–".to_owned(), |count| format!("{count:.1}")),
        );
    }
    if options.write {
        new.write(&path)?;
        println!("\nwritten to {}", path.display());
        return Ok(true);
    }
    if !good && !binding {
        println!(
            "\nThe baseline is of rustc {}: no failure, but worth a look. `--write` makes a new one.",
            old.compiler
        );
        return Ok(true);
    }
    if !good {
        println!(
            "\nSomething costs more than is tolerated above the baseline. Find out why, or, where it is worth it, say so in the commit \
             with a new baseline: cargo run --release -p instructions -- --write"
        );
    }
    Ok(good)
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        match self.only.as_deref() {
            None => true,
            Some(only) => only.split(',').any(|one| match one.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == one,
            }),
        }
    }
}

fn options(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        only: None,
        write: false,
        tolerance: TOLERANCE,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--write" => options.write = true,
            "--tolerance" => {
                let percent = args.next().and_then(|text| text.parse::<f64>().ok());
                options.tolerance = percent.ok_or("--tolerance wants a number")? / 100.0;
            }
            "--only" => {
                options.only = Some(args.next().ok_or("--only wants names")?.clone());
                let known = operations::ALL.iter().any(|one| options.wants(one.name));
                if !known {
                    let names: Vec<&str> = operations::ALL.iter().map(|one| one.name).collect();
                    return Err(format!("none is called so; there are {}", names.join(", ")));
                }
            }
            _ => {
                return Err(format!(
                    "{arg}? usage: instructions [--only a,b*] [--write] [--tolerance PERCENT]"
                ));
            }
        }
    }
    Ok(options)
}
