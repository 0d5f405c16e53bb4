//! The parent: leads servers and clients through the phases of a run, and puts together what they say and what `/proc` says.
//!
//! Every wait here ends: a child that dies closes its pipe, one that hangs shows no progress for [`STALL`], and the whole has a time
//! limit. In each case the run is cut short with a line that says what happened, and dropping the fleet ends all children.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::fleet::{Event, Fleet, workers_each};
use crate::json::to_json;
use crate::latency::Latency;
use crate::limits;
use crate::options::{Options, Sides};
use crate::plan::Plan;
use crate::progress::{Progress, say, say_named};
use crate::report::{Report, grouped};
use crate::usage::{Kernel, Memory, Work};

/// Exit status for a run that could not begin.
pub(crate) const REFUSED: u8 = 2;

/// No child may be silent for so long while it is at work. Longer than a client's patience with a single connection.
const STALL: Duration = Duration::from_secs(20);

/// Lets the last timers and closing handshakes of a phase pass before rest is measured.
const SETTLE: Duration = Duration::from_millis(500);

/// How many different errors the summary lists.
const ERRORS_LISTED: usize = 5;

/// Why a run was cut short.
enum Trouble {
    /// It could not begin.
    Refused(String),
    /// It had begun.
    Broken(String),
}

/// What clients report of a phase, all together.
struct Outcome {
    ok: u64,
    failed: u64,
    wrong: u64,
    latency: Latency,
    took: Duration,
}

struct Run<'a> {
    options: &'a Options,
    plan: Plan,
    fleet: Fleet,
    servers: Vec<usize>,
    clients: Vec<usize>,
    began: Instant,
    report: Report,
    /// How often connections failed of what, by error number and text.
    errors: BTreeMap<(i32, String), u64>,
}

/// Runs what was asked and says what came of it; the program's exit status.
pub(crate) fn run(options: &Options) -> ExitCode {
    let mut run = match Run::prepare(options) {
        Ok(run) => run,
        Err(line) => {
            say(&format!("c100k: {line}"));
            return ExitCode::from(REFUSED);
        }
    };
    let result = match options.sides {
        Sides::Server => run.serve(),
        _ => run.all_phases(),
    };
    run.finish(result)
}

impl<'a> Run<'a> {
    fn prepare(options: &'a Options) -> Result<Self, String> {
        let open_files = limits::raise_open_files()
            .map_err(|e| format!("the limit of open files cannot be raised: {e}"))?;
        let plan = Plan::new(options, open_files)?;
        let ends = if options.sides == Sides::Both { 2 } else { 1 };
        if let Some(line) = limits::obstacle(options.connections, ends) {
            return Err(line);
        }
        if let Some(path) = &options.json {
            // Now, and not when the result is there and would be lost.
            fs::write(path, "")
                .map_err(|e| format!("{} cannot be written: {e}", path.display()))?;
        }
        let report = Report {
            asked: options.connections as u64,
            rounds: options.rounds,
            in_flight: plan.busy() as u64,
            server_processes: plan.servers as u64,
            client_processes: plan.clients as u64,
            open_files: open_files as u64,
            per_source: plan.per_source as u64,
            ..Report::default()
        };
        Ok(Self {
            options,
            plan,
            fleet: Fleet::new(),
            servers: Vec::new(),
            clients: Vec::new(),
            began: Instant::now(),
            report,
            errors: BTreeMap::new(),
        })
    }

    /// The server alone: it serves until Ctrl-C, or until its time is up.
    fn serve(&mut self) -> Result<(), Trouble> {
        let address = self.start_servers()?;
        self.announce(address);
        say_named(
            "serving",
            &format!(
                "up to {} connections until Ctrl-C; a load for it: c100k --client --address {address}",
                grouped(self.report.asked)
            ),
        );
        match self.hear(None)? {
            Some((id, line)) => Err(self.unexpected(id, &line)),
            None => Ok(()),
        }
    }

    fn all_phases(&mut self) -> Result<(), Trouble> {
        let address = match self.options.sides {
            Sides::Client => self.options.address,
            _ => self.start_servers()?,
        };
        self.start_clients(address)?;
        self.report.time.start = Some(self.began.elapsed());
        self.announce(address);

        self.connect()?;
        if self.report.open() == 0 {
            return Ok(());
        }
        if !self.options.idle.is_zero() {
            self.idle()?;
        }
        self.rounds()?;
        self.close()
    }

    fn announce(&self, address: SocketAddr) {
        let asked = grouped(self.report.asked);
        say_named(
            "c100k",
            &format!("{asked} connections to an echo server at {address}"),
        );
        for (name, text) in self.report.layout() {
            say_named(name, &text);
        }
    }

    fn start_servers(&mut self) -> Result<SocketAddr, Trouble> {
        let mut address = self.options.address;
        if address.port() != 0 {
            // With `reuse_port` a second program could join the first at its port unnoticed, and take half of its connections.
            drop(TcpListener::bind(address).map_err(|error| {
                Trouble::Refused(with_cure(
                    error.raw_os_error().unwrap_or(0),
                    &format!("listening on {address}: {error}"),
                ))
            })?);
        }
        for n in 0..self.plan.servers {
            let args = self.plan.server_job(address).to_args();
            let id = self.start(format!("server {}", n + 1), &args, self.plan.servers)?;
            // One after the other: the first one finds the free port that the others share.
            let line = self.answer(id, "ready")?;
            address = line.parse().map_err(|_| self.unexpected(id, &line))?;
            self.servers.push(id);
        }
        Ok(address)
    }

    fn start_clients(&mut self, address: SocketAddr) -> Result<(), Trouble> {
        for n in 0..self.plan.clients {
            let args = self.plan.client_job(n, address).to_args();
            let id = self.start(format!("client {}", n + 1), &args, self.plan.clients)?;
            self.clients.push(id);
        }
        for id in self.clients.clone() {
            self.answer(id, "ready")?;
        }
        Ok(())
    }

    fn start(&mut self, name: String, args: &[String], siblings: usize) -> Result<usize, Trouble> {
        self.fleet
            .start(name, args, workers_each(siblings))
            .map_err(|error| {
                Trouble::Refused(with_cure(
                    error.raw_os_error().unwrap_or(0),
                    &format!("starting a process: {error}"),
                ))
            })
    }

    fn connect(&mut self) -> Result<(), Trouble> {
        let servers = self.server_pids();
        let memory = Memory::of(&servers);
        let kernel = Kernel::now();

        let asked = self.report.asked;
        let outcome = self.phase("connect", "connect", "connections", asked)?;
        self.report.held = outcome.ok;
        self.report.echoed = outcome.ok;
        self.report.time.connect = Some(outcome.took);

        thread::sleep(SETTLE);
        let each =
            |before: u64, after: u64| (after as f64 - before as f64) / outcome.ok.max(1) as f64;
        if let (Some(before), Some(after)) = (memory, Memory::of(&servers)) {
            self.report.server_resident = Some(each(before.resident, after.resident));
            self.report.server_private = Some(each(before.private, after.private));
        }
        if let (Some(Kernel(before)), Some(Kernel(after))) = (kernel, Kernel::now()) {
            // Of the whole system: another program may have given back more than we took.
            self.report.kernel = (after > before).then(|| each(before, after));
        }
        self.count_servers()
    }

    /// Asks each server what it holds; with the client's figures that tells whether the kernel's hash left any too full.
    fn count_servers(&mut self) -> Result<(), Trouble> {
        for id in self.servers.clone() {
            self.fleet.tell(id, "count");
            let line = self.answer(id, "count")?;
            let open = line
                .split_once(' ')
                .and_then(|(_accepted, open)| open.parse().ok());
            self.report.fullest_server = self.report.fullest_server.max(open);
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<(), Trouble> {
        let servers = self.server_pids();
        thread::sleep(SETTLE);
        let total = self.options.idle.as_secs_f64().ceil() as u64;
        let mut progress = Progress::start("idle", "seconds", total);
        let (before, start) = (Work::of(&servers), Instant::now());
        let end = start + self.options.idle;
        while Instant::now() < end {
            let until = end.min(progress.next_frame());
            if let Some((id, line)) = self.hear(Some(until))? {
                return Err(self.unexpected(id, &line));
            }
            progress.show(start.elapsed().as_secs());
        }
        if let (Some(before), Some(after)) = (before, Work::of(&servers)) {
            let work = after.since(before);
            self.report.idle_cpu = Some(work.cpu);
            self.report.idle_wakeups = Some(work.sleeps);
        }
        let held = grouped(self.report.held);
        self.report.time.idle = Some(progress.finish(&format!("{held} connections at rest")));
        Ok(())
    }

    fn rounds(&mut self) -> Result<(), Trouble> {
        for n in 1..=self.options.rounds {
            let name = format!("round {n}");
            let outcome = self.phase(&name, &name, "messages", self.report.open())?;
            self.report.echoed += outcome.ok;
            self.report.time.rounds.push(outcome.took);
            self.report
                .latency
                .get_or_insert_with(Latency::new)
                .merge(&outcome.latency);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Trouble> {
        let outcome = self.phase("close", "close", "connections", self.report.open())?;
        self.report.time.close = Some(outcome.took);
        Ok(())
    }

    /// Gives all clients an order, and waits until each has answered.
    fn phase(
        &mut self,
        name: &str,
        order: &str,
        unit: &'static str,
        total: u64,
    ) -> Result<Outcome, Trouble> {
        let mut progress = Progress::start(name, unit, total);
        let mut all = Outcome {
            ok: 0,
            failed: 0,
            wrong: 0,
            latency: Latency::new(),
            took: Duration::ZERO,
        };
        let mut through: BTreeMap<usize, u64> = self.clients.iter().map(|id| (*id, 0)).collect();
        let mut busy = self.clients.len();
        for id in self.clients.clone() {
            self.fleet.tell(id, order);
        }
        let mut moved = Instant::now();
        while busy > 0 {
            let heard = self.hear(Some(progress.next_frame()))?;
            progress.show(through.values().sum());
            let Some((id, line)) = heard else {
                if moved.elapsed() > STALL {
                    return Err(Trouble::Broken(format!(
                        "{name}: no progress in {} seconds",
                        STALL.as_secs()
                    )));
                }
                continue;
            };
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let understood = match word {
                "progress" => rest.parse().ok().map(|n| {
                    if through.insert(id, n) != Some(n) {
                        moved = Instant::now();
                    }
                }),
                "error" => self.note_error(rest),
                "latency" => Latency::from_line(rest).map(|latency| all.latency.merge(&latency)),
                "done" => all.add(rest).map(|_| busy -= 1),
                _ => None,
            };
            if understood.is_none() {
                return Err(self.unexpected(id, &line));
            }
        }
        self.report.failed += all.failed;
        self.report.wrong += all.wrong;
        let failed = if all.failed > 0 {
            format!(", {} failed", grouped(all.failed))
        } else {
            String::new()
        };
        all.took = progress.finish(&format!("{} {unit}{failed}", grouped(all.ok)));
        Ok(all)
    }

    fn note_error(&mut self, rest: &str) -> Option<()> {
        let (count, rest) = rest.split_once(' ')?;
        let (errno, text) = rest.split_once(' ')?;
        let kind = (errno.parse().ok()?, text.to_owned());
        *self.errors.entry(kind).or_default() += count.parse::<u64>().ok()?;
        Some(())
    }

    /// The next line of any child; `None` at `until` or, where there is none, at the end of the time limit.
    fn hear(&mut self, until: Option<Instant>) -> Result<Option<(usize, String)>, Trouble> {
        let limit = self.options.time_limit.map(|limit| self.began + limit);
        let far = Instant::now() + Duration::from_secs(3600);
        loop {
            let deadline = [until, limit].into_iter().flatten().min();
            match self.fleet.hear(deadline.unwrap_or(far)) {
                Some((id, Event::Line(line))) => match line.strip_prefix("fatal ") {
                    Some(rest) => return Err(self.fatal(id, rest)),
                    None => return Ok(Some((id, line))),
                },
                Some((id, Event::Gone)) => {
                    let fate = self.fleet.fate(id);
                    return Err(Trouble::Broken(format!(
                        "{} ended too early: {fate}",
                        self.fleet.name(id)
                    )));
                }
                None if until.is_some_and(|until| Instant::now() >= until) => return Ok(None),
                None if limit.is_some_and(|limit| Instant::now() >= limit) => {
                    if self.options.sides == Sides::Server {
                        return Ok(None);
                    }
                    let seconds =
                        limit.map_or(0, |_| self.options.time_limit.unwrap_or_default().as_secs());
                    return Err(Trouble::Broken(format!(
                        "not through after {seconds} seconds: ask for fewer --connections or --rounds, or give more --time-limit"
                    )));
                }
                None => {}
            }
        }
    }

    /// Waits for a line from `id` that starts with `word`, and returns the rest of it.
    fn answer(&mut self, id: usize, word: &str) -> Result<String, Trouble> {
        let deadline = Instant::now() + STALL;
        match self.hear(Some(deadline))? {
            Some((from, line)) => match line.strip_prefix(word) {
                Some(rest) if from == id || word == "ready" => Ok(rest.trim().to_owned()),
                _ => Err(self.unexpected(from, &line)),
            },
            None => Err(Trouble::Broken(format!(
                "{} does not answer",
                self.fleet.name(id)
            ))),
        }
    }

    fn fatal(&self, id: usize, rest: &str) -> Trouble {
        let (errno, text) = rest.split_once(' ').unwrap_or(("0", rest));
        let text = format!("{}: {text}", self.fleet.name(id));
        Trouble::Broken(with_cure(errno.parse().unwrap_or(0), &text))
    }

    fn unexpected(&self, id: usize, line: &str) -> Trouble {
        Trouble::Broken(format!(
            "{} said `{line}`, which makes no sense here",
            self.fleet.name(id)
        ))
    }

    fn server_pids(&self) -> Vec<u32> {
        self.servers.iter().map(|id| self.fleet.pid(*id)).collect()
    }

    /// Says how it went, and ends the children.
    fn finish(mut self, result: Result<(), Trouble>) -> ExitCode {
        drop(self.fleet);
        let status = match result {
            Err(Trouble::Refused(line)) => {
                say(&format!("c100k: {line}"));
                return ExitCode::from(REFUSED);
            }
            Ok(()) if self.options.sides == Sides::Server => return ExitCode::SUCCESS,
            Err(Trouble::Broken(line)) => {
                self.report.trouble = Some(line);
                ExitCode::FAILURE
            }
            Ok(()) if self.report.good() => ExitCode::SUCCESS,
            Ok(()) => ExitCode::FAILURE,
        };
        self.report.time.total = self.began.elapsed();
        self.report.errors = error_lines(&self.errors);
        println!("\n{}", self.report);
        if let Some(path) = &self.options.json {
            if let Err(error) = fs::write(path, to_json(&self.report)) {
                say(&format!(
                    "c100k: {} cannot be written: {error}",
                    path.display()
                ));
                return ExitCode::FAILURE;
            }
        }
        status
    }
}

impl Outcome {
    /// Adds a client's `OK FAILED WRONG`.
    fn add(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_whitespace().map(|word| word.parse::<u64>().ok());
        self.ok += words.next()??;
        self.failed += words.next()??;
        self.wrong += words.next()??;
        Some(())
    }
}

fn error_lines(errors: &BTreeMap<(i32, String), u64>) -> Vec<String> {
    let mut sorted: Vec<_> = errors.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    sorted
        .into_iter()
        .take(ERRORS_LISTED)
        .map(|((errno, text), count)| {
            with_cure(*errno, &format!("{} times {text}", grouped(*count)))
        })
        .collect()
}

fn with_cure(errno: i32, text: &str) -> String {
    match limits::cure(errno) {
        Some(cure) => format!("{text} — {cure}"),
        None => text.to_owned(),
    }
}
