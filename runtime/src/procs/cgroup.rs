//! How much CPU time the cgroups of this process grant it, in CPUs.
//!
//! A cgroup may say "so many microseconds in each period"; so may any cgroup above it, and the
//! strictest counts. Where that is written takes two files to find out: `/proc/self/cgroup` has the
//! path of the process' cgroup in each hierarchy, `/proc/self/mountinfo` where each hierarchy is
//! mounted, and which of its directories lies at that point. In version 2 there is one hierarchy,
//! and the limit is in `cpu.max`; in version 1 it is that of the controller `cpu`, and the limit in
//! `cpu.cfs_quota_us` and `cpu.cfs_period_us`. A hybrid system has both, and the controller is in
//! one of them: both are looked at.
//!
//! In a container with a cgroup namespace paths begin at the namespace's root, and what lies above
//! begins with `/..`. What is not mounted cannot be seen, and does not count. Nor does anything
//! that cannot be read or makes no sense: a program is better off with a worker too many than
//! without a start.
//!
//! Everything is looked for below a root directory, so that tests can bring their own.
#![forbid(unsafe_code)]

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Where the limits of a process are written, the innermost cgroup first.
#[derive(Clone, Debug, Default)]
pub(super) struct Quotas(Vec<Quota>);

/// The limit of one cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Quota {
    /// `cpu.max`: "quota period", where the quota may be `max`.
    Version2(PathBuf),
    /// Quota, of which -1 is none, and period.
    Version1(PathBuf, PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A mounted hierarchy, or part of it, that may have limits of CPU time.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    version: Version,
    /// The directory of the hierarchy that lies at `point`.
    root: String,
    point: String,
}

impl Quotas {
    /// Those of this process, in a file system with this root.
    pub(super) fn find(root: &Path) -> Self {
        let cgroups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
        let mounts = read(&root.join("proc/self/mountinfo")).unwrap_or_default();
        let mut quotas = Vec::new();
        for mount in mounts.lines().filter_map(Mount::parse) {
            let path = cgroups.lines().find_map(|line| mount.version.path_in(line));
            let below = path.and_then(|path| below(path, &mount.root));
            let Some(below) = below else { continue };
            let point = root.join(mount.point.trim_start_matches('/'));
            let innermost = point.join(below.trim_start_matches('/'));
            let levels = innermost
                .ancestors()
                .take_while(|level| level.starts_with(&point));
            quotas.extend(levels.map(|level| Quota::of(mount.version, level)));
        }
        quotas.retain(Quota::exists);
        quotas.dedup();
        Self(quotas)
    }

    /// The strictest, in CPUs; `None`: there is none.
    pub(super) fn cpus(&self) -> Option<NonZeroUsize> {
        self.0.iter().filter_map(Quota::cpus).min()
    }
}

impl Quota {
    fn of(version: Version, cgroup: &Path) -> Self {
        match version {
            Version::One => Self::Version1(
                cgroup.join("cpu.cfs_quota_us"),
                cgroup.join("cpu.cfs_period_us"),
            ),
            Version::Two => Self::Version2(cgroup.join("cpu.max")),
        }
    }

    fn exists(&self) -> bool {
        match self {
            Self::Version1(file, _) | Self::Version2(file) => file.exists(),
        }
    }

    /// The limit as it is now, rounded up to whole CPUs.
    fn cpus(&self) -> Option<NonZeroUsize> {
        let (quota, period) = match self {
            Self::Version1(quota, period) => (read(quota)?, read(period)?),
            Self::Version2(file) => {
                let text = read(file)?;
                let (quota, period) = text.trim().split_once(' ')?;
                (quota.to_owned(), period.to_owned())
            }
        };
        // Neither "max" nor "-1" is such a number.
        let quota: u64 = quota.trim().parse().ok()?;
        let period: u64 = period.trim().parse().ok().filter(|&period| period > 0)?;
        let cpus = usize::try_from(quota.div_ceil(period)).ok()?;
        Some(NonZeroUsize::new(cpus).unwrap_or(NonZeroUsize::MIN))
    }
}

impl Version {
    /// The path of the process' cgroup, of a line `number:controllers:path`, if the line is about
    /// the hierarchy that matters.
    fn path_in(self, line: &str) -> Option<&str> {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let suits = match self {
            Self::One => controllers.split(',').any(|controller| controller == "cpu"),
            Self::Two => number == "0" && controllers.is_empty(),
        };
        suits.then_some(path)
    }
}

impl Mount {
    /// Of a line of `mountinfo`: id, parent, device, root, mount point, options, more of them, `-`,
    /// type, source, the hierarchy's options.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        let mut fields = fields.skip_while(|&field| field != "-").skip(1);
        let (kind, options) = (fields.next()?, fields.nth(1).unwrap_or_default());
        let version = match kind {
            "cgroup2" => Version::Two,
            "cgroup" if options.split(',').any(|option| option == "cpu") => Version::One,
            _ => return None,
        };
        Some(Self {
            version,
            root: unescape(root),
            point: unescape(point),
        })
    }
}

/// The way from `root` down to `path`, both paths of one hierarchy; `None` if it is not below, or
/// nobody can tell.
fn below<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    let (path_up, path) = above_namespace(path);
    let (root_up, root) = above_namespace(root);
    if root_up > path_up {
        // The root is above the namespace, and how the directories between are called cannot be
        // known: it counts alone.
        return root.is_empty().then_some("");
    }
    if root_up < path_up {
        return None;
    }
    let below = path.strip_prefix(root)?;
    (below.is_empty() || below.starts_with('/')).then_some(below)
}

/// By how many levels a path begins above the root of the namespace, and the rest of it, without a
/// slash at the end.
fn above_namespace(path: &str) -> (usize, &str) {
    let mut rest = path.trim_end_matches('/');
    let mut levels = 0;
    while let Some(shorter) = rest.strip_prefix("/..") {
        if !(shorter.is_empty() || shorter.starts_with('/')) {
            break;
        }
        rest = shorter;
        levels += 1;
    }
    (levels, rest)
}

/// `mountinfo` writes spaces, tabs, line ends and backslashes as three octal digits.
fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (code, meant)| {
            text.replace(code, meant)
        })
}

fn read(file: &Path) -> Option<String> {
    fs::read(file)
        .ok()
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(all(test, not(loom)))]
#[path = "cgroup_tests.rs"]
mod tests;
