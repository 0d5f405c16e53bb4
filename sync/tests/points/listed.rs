//! Which futures there are, by the sources; each has a scene.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What has a scene: `Type::function` for what returns a future, the type alone for what is one.
const SCENES: &[&str] = &[
    // channels
    "Receiver::recv",
    "Receiver::recv_many",
    "Select::try_wait",
    "Select::wait",
    "Sender::closed",
    "Sender::send",
    "Sender::send_from",
    "forever",
    "stream of Receiver",
    // locks
    "Barrier::wait",
    "Cond::wait",
    "Mutex::lock",
    "Mutex::lock_owned",
    "Notify::notified",
    "RwLock::read",
    "RwLock::read_owned",
    "RwLock::upgradable_read",
    "RwLock::write",
    "RwLock::write_owned",
    "RwLockUpgradableReadGuard::upgrade",
    "Semaphore::acquire",
    "Semaphore::acquire_many",
    "Semaphore::acquire_many_owned",
    "Semaphore::acquire_owned",
    "Semaphore::checked_acquire",
    "Semaphore::checked_acquire_owned",
    "WaitGroup::wait",
    // values
    "Context::done",
    "Context::run",
    "Once::call",
    "OnceCell::get_or_init",
    "OnceCell::get_or_try_init",
    "Receiver",
    "Receiver::changed",
    "Receiver::wait_for",
    // groups
    "Group::run",
    "Group::spawn",
    "Group::wait",
    "Group::wait_all",
    "Spawner::spawn",
    // tasks
    "JoinHandle",
    "JoinSet::join_next",
    "JoinSet::shutdown",
    "LocalKey::scope",
    "Registration::io",
    "Registration::ready",
    "Signal::recv",
    "Source::read_with",
    "Source::readable",
    "Source::writable",
    "Source::write_with",
    "Ticker::tick",
    "advance",
    "consume_budget",
    "ctrl_c",
    "settle",
    "sleep",
    "sleep_until",
    "stream of Signal",
    "stream of Ticker",
    "timeout",
    "timeout_at",
    "unconstrained",
    "yield_now",
];

/// What a source says: types that are futures, and functions that return what may be one.
#[derive(Default)]
struct Found {
    futures: BTreeSet<String>,
    streams: BTreeSet<String>,
    /// The function, and what it returns.
    functions: Vec<(String, String)>,
}

impl Found {
    fn read(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "models" {
                self.read(&path);
            } else if name.ends_with(".rs") && !name.starts_with("__private") {
                self.scan(&fs::read_to_string(&path).unwrap());
            }
        }
    }

    /// By lines, as rustfmt leaves them: `impl` stands at the margin.
    fn scan(&mut self, source: &str) {
        let mut owner = None;
        let mut lines = source.lines();
        while let Some(line) = lines.next() {
            if line.starts_with("mod tests") {
                break;
            }
            if line.starts_with("impl") {
                owner = self.implements(line);
            } else if line == "}" {
                owner = None;
            }
            let start = line.trim_start();
            if start.starts_with("pub fn ") || start.starts_with("pub async fn ") {
                let mut signature = start.to_owned();
                while !signature.ends_with(['{', ';']) {
                    let Some(more) = lines.next() else { break };
                    signature.push(' ');
                    signature.push_str(more.trim());
                }
                self.function(owner.as_deref(), &signature);
            }
        }
    }

    /// The type of an `impl`, if it is no trait's.
    fn implements(&mut self, line: &str) -> Option<String> {
        if let Some((of, name)) = line.split_once(" for ") {
            let name = head(name);
            if of.ends_with("Future") {
                self.futures.insert(name.clone());
            } else if of.ends_with("Stream") {
                self.streams.insert(name.clone());
            }
            return Some(name);
        }
        let mut depth = 0;
        let after = line["impl".len()..].find(|c| {
            depth += i32::from(c == '<') - i32::from(c == '>');
            depth == 0 && c == ' '
        })?;
        Some(head(&line["impl".len() + after..]))
    }

    fn function(&mut self, owner: Option<&str>, signature: &str) {
        let signature = signature.split(" where ").next().unwrap_or(signature);
        let name = signature.split_once("fn ").map_or("", |(_, rest)| rest);
        let name: String = name
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let full = owner.map_or(name.clone(), |owner| format!("{owner}::{name}"));
        let returns = if signature.starts_with("pub async") {
            "impl Future".to_owned()
        } else {
            let result = signature
                .rsplit_once("-> ")
                .map_or("", |(_, result)| result);
            result.to_owned()
        };
        self.functions.push((full, returns));
    }

    fn all(&self) -> BTreeSet<String> {
        // What a user holds, and what is told apart by its function.
        let held = ["JoinHandle", "Receiver"];
        let is_future = |returns: &str| {
            let head = head(returns);
            returns.starts_with("impl Future")
                || (self.futures.contains(&head) && !held.contains(&head.as_str()))
        };
        let functions = self
            .functions
            .iter()
            .filter(|(_, returns)| is_future(returns));
        let mut all: BTreeSet<_> = functions.map(|(name, _)| name.clone()).collect();
        let futures = held.iter().filter(|&&name| self.futures.contains(name));
        all.extend(futures.map(|&name| name.to_owned()));
        all.extend(self.streams.iter().map(|name| format!("stream of {name}")));
        all
    }
}

/// `Name` of ` Name<…> …`.
fn head(text: &str) -> String {
    let text = text.trim_start();
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
#[cfg_attr(miri, ignore = "it reads files")]
fn every_future_has_a_scene() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Found::default();
    found.read(&here.join("src"));
    found.read(&here.join("../runtime/src"));
    let scenes: BTreeSet<_> = SCENES.iter().map(|name| (*name).to_owned()).collect();
    let found = found.all();
    let missing: Vec<_> = found.difference(&scenes).collect();
    let gone: Vec<_> = scenes.difference(&found).collect();
    assert!(missing.is_empty(), "futures without a scene: {missing:?}");
    assert!(gone.is_empty(), "scenes of what is not found: {gone:?}");
}
