//! The parent: leads servers and clients through the phases of a run, and puts together what they
//! say and what `/proc` says.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::json::to_json;
use crate::latency::Latency;
use crate::limits;
use crate::options::{Options, Sides};
use crate::phase::{Errors, Outcome, Phase};
use crate::plan::Plan;
use crate::progress::{Progress, SECONDS, say, say_named};
use crate::report::{Report, grouped};
use crate::talk::{Talk, Trouble};
use crate::usage::{Kernel, Memory, Work};

/// Exit status for a run that could not begin.
pub(crate) const REFUSED: u8 = 2;

/// Lets the last timers and closing handshakes of a phase pass before rest is measured.
const SETTLE: Duration = Duration::from_millis(500);

/// How many different errors the summary lists.
const ERRORS_LISTED: usize = 5;

/// A run under way.
struct Run<'a> {
    options: &'a Options,
    plan: Plan,
    talk: Talk,
    servers: Vec<usize>,
    clients: Vec<usize>,
    began: Instant,
    report: Report,
    errors: Errors,
}

/// Runs what was asked and says what came of it; the program's exit status.
pub(crate) fn run(options: &Options) -> ExitCode {
    let mut run = match Run::prepare(options) {
        Ok(run) => run,
        Err(line) => return refuse(&line),
    };
    let result = match options.sides {
        Sides::Server => run.serve(),
        Sides::Client | Sides::Both => run.all_phases(),
    };
    run.finish(result)
}

fn refuse(line: &str) -> ExitCode {
    say(&format!("c100k: {line}"));
    ExitCode::from(REFUSED)
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
            talk: Talk::new(options.time_limit),
            servers: Vec::new(),
            clients: Vec::new(),
            began: Instant::now(),
            report,
            errors: Errors::new(),
        })
    }

    /// The server alone: it serves until Ctrl-C, or until its time is up.
    fn serve(&mut self) -> Result<(), Trouble> {
        let address = self.start_servers()?;
        self.announce(address);
        let most = grouped(self.report.asked);
        say_named(
            "serving",
            &format!(
                "up to {most} connections, until Ctrl-C; a load for it: --client --address {address}"
            ),
        );
        match self.talk.hear(None) {
            Ok(Some((id, line))) => Err(self.talk.senseless(id, &line)),
            Ok(None) | Err(Trouble::TimeUp(_) | Trouble::Interrupted) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    fn all_phases(&mut self) -> Result<(), Trouble> {
        let address = match self.options.sides {
            Sides::Client => self.options.address,
            Sides::Server | Sides::Both => self.start_servers()?,
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
            // With `reuse_port` a second program could join the first at its port unnoticed, and
            // take half of its connections.
            TcpListener::bind(address)
                .map_err(|error| Trouble::refused(&format!("listening on {address}"), &error))?;
        }
        for n in 0..self.plan.servers {
            let args = self.plan.server_job(address).to_args();
            let id = self
                .talk
                .start(format!("server {}", n + 1), &args, self.plan.servers)?;
            // One after the other: the first one finds the free port that the others share.
            let line = self.talk.answer(id, "ready")?;
            address = line.parse().map_err(|_| self.talk.senseless(id, &line))?;
            self.servers.push(id);
        }
        Ok(address)
    }

    fn start_clients(&mut self, address: SocketAddr) -> Result<(), Trouble> {
        for n in 0..self.plan.clients {
            let args = self.plan.client_job(n, address).to_args();
            let id = self
                .talk
                .start(format!("client {}", n + 1), &args, self.plan.clients)?;
            self.talk.answer(id, "ready")?;
            self.clients.push(id);
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<(), Trouble> {
        let servers = self.server_pids();
        let (memory, kernel) = (Memory::of(&servers), Kernel::now());

        let outcome = self.phase("connect", "connections", self.report.asked)?;
        self.report.held = outcome.ok;
        self.report.echoed = outcome.ok;
        self.report.time.connect = Some(outcome.took);
        if outcome.ok == 0 {
            return Ok(());
        }

        thread::sleep(SETTLE);
        let each = |before: u64, after: u64| (after as f64 - before as f64) / outcome.ok as f64;
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

    /// Asks each server how many connections it holds: how evenly the kernel dealt them out.
    fn count_servers(&mut self) -> Result<(), Trouble> {
        for id in self.servers.clone() {
            self.talk.tell(id, "count");
            let line = self.talk.answer(id, "count")?;
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
        let seconds = self.options.idle.as_secs_f64().ceil() as u64;
        let mut progress = Progress::start("idle", SECONDS, seconds);
        let (before, start) = (Work::of(&servers), Instant::now());
        let end = start + self.options.idle;
        while Instant::now() < end {
            let until = end.min(progress.next_frame());
            if let Some((id, line)) = self.talk.hear(Some(until))? {
                return Err(self.talk.senseless(id, &line));
            }
            progress.show(start.elapsed().as_secs());
        }
        if let (Some(before), Some(after)) = (before, Work::of(&servers)) {
            let work = after.since(before);
            self.report.idle_cpu = Some(work.cpu);
            self.report.idle_wakeups = Some(work.sleeps);
        }
        let open = grouped(self.report.open());
        self.report.time.idle = Some(progress.finish(&format!("{open} connections at rest")));
        Ok(())
    }

    fn rounds(&mut self) -> Result<(), Trouble> {
        for n in 1..=self.options.rounds {
            if self.report.open() == 0 {
                break;
            }
            let outcome = self.phase(&format!("round {n}"), "messages", self.report.open())?;
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
        let outcome = self.phase("close", "connections", self.report.open())?;
        self.report.time.close = Some(outcome.took);
        Ok(())
    }

    /// A phase on all clients; what failed in it goes into the report.
    fn phase(&mut self, order: &str, unit: &'static str, total: u64) -> Result<Outcome, Trouble> {
        let outcome = Phase { order, unit, total }.run(&mut self.talk, &self.clients)?;
        self.report.failed += outcome.failed;
        self.report.wrong += outcome.wrong;
        for (kind, count) in &outcome.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        Ok(outcome)
    }

    fn server_pids(&self) -> Vec<u32> {
        self.servers.iter().map(|id| self.talk.pid(*id)).collect()
    }

    /// Ends the children, and says how it went.
    fn finish(mut self, result: Result<(), Trouble>) -> ExitCode {
        match result {
            Ok(()) => self.talk.end(),
            Err(_) => drop(self.talk),
        }
        match result {
            Err(Trouble::Refused(line)) => return refuse(&line),
            Err(Trouble::Broken(line)) => self.report.trouble = Some(line),
            Err(Trouble::TimeUp(limit)) => {
                self.report.trouble = Some(format!(
                    "not through after {} seconds: ask for fewer --connections or --rounds, or give more --time-limit",
                    limit.as_secs()
                ));
            }
            Err(Trouble::Interrupted) => {
                self.report.trouble = Some("interrupted by Ctrl-C".to_owned());
            }
            Ok(()) if self.options.sides == Sides::Server => return ExitCode::SUCCESS,
            Ok(()) => {}
        }
        self.report.time.total = self.began.elapsed();
        self.report.errors = error_lines(&self.errors);
        match (&self.report.trouble, self.options.sides) {
            // A server alone has no result to show.
            (Some(line), Sides::Server) => say(&format!("c100k: {line}")),
            // A reader that has gone, such as `head`, is no error of the run.
            _ => drop(write!(io::stdout(), "\n{}", self.report)),
        }
        if let Some(path) = &self.options.json {
            if let Err(error) = fs::write(path, to_json(&self.report)) {
                say(&format!(
                    "c100k: {} cannot be written: {error}",
                    path.display()
                ));
                return ExitCode::FAILURE;
            }
        }
        if self.report.good() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// The most frequent errors, with what to do about them.
fn error_lines(errors: &Errors) -> Vec<String> {
    let mut sorted: Vec<_> = errors.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    sorted
        .into_iter()
        .take(ERRORS_LISTED)
        .map(|((errno, text), count)| {
            limits::with_cure(*errno, &format!("{} times {text}", grouped(*count)))
        })
        .collect()
}
