//! Directory trees like those of real systems, and what they grant.
#![forbid(unsafe_code)]

use super::*;
use std::env;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A root directory of its own, removed at the end.
struct Root(PathBuf);

impl Root {
    fn new(files: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let root =
            Self(env::temp_dir().join(format!("weftline-cgroup-{}-{number}", process::id())));
        for (path, text) in files {
            root.write(path, text);
        }
        root
    }

    fn write(&self, path: &str, text: &str) {
        let file = self.0.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn cpus(&self) -> Option<usize> {
        Quotas::find(&self.0).cpus().map(NonZeroUsize::get)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const CGROUP2: &str =
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

/// Version 2 at its usual place, the process in `/a/b`.
fn version_2(files: &[(&str, &str)]) -> Root {
    let root = Root::new(&[
        ("proc/self/cgroup", "0::/a/b\n"),
        ("proc/self/mountinfo", CGROUP2),
    ]);
    for (path, text) in files {
        root.write(&format!("sys/fs/cgroup/{path}"), text);
    }
    root
}

#[test]
fn version_2_is_rounded_up() {
    for (max, cpus) in [
        ("max 100000\n", None),
        ("100000 100000\n", Some(1)),
        ("150000 100000\n", Some(2)),
        ("200001 100000\n", Some(3)),
        ("5000 100000\n", Some(1)),
        ("0 100000\n", Some(1)),
        ("400000 50000\n", Some(8)),
    ] {
        assert_eq!(version_2(&[("a/b/cpu.max", max)]).cpus(), cpus, "{max:?}");
    }
}

#[test]
fn the_strictest_ancestor_counts() {
    let root = version_2(&[
        ("a/b/cpu.max", "800000 100000"),
        ("a/cpu.max", "300000 100000"),
        ("cpu.max", "600000 100000"),
        ("other/cpu.max", "100000 100000"),
    ]);
    assert_eq!(root.cpus(), Some(3));
}

#[test]
fn a_limit_that_changes_is_seen() {
    let root = version_2(&[("a/cpu.max", "max 100000")]);
    let quotas = Quotas::find(&root.0);
    assert_eq!(quotas.cpus(), None);
    root.write("sys/fs/cgroup/a/cpu.max", "200000 100000\n");
    assert_eq!(quotas.cpus(), NonZeroUsize::new(2));
}

#[test]
fn nonsense_is_no_limit() {
    for max in [
        "",
        "100000",
        "100000 0",
        "many few",
        "-5 100000",
        "\u{fffd}",
    ] {
        assert_eq!(version_2(&[("a/b/cpu.max", max)]).cpus(), None, "{max:?}");
    }
    assert_eq!(Root::new(&[]).cpus(), None);
    let cut = Root::new(&[
        ("proc/self/cgroup", "0:\n\n:::\n"),
        (
            "proc/self/mountinfo",
            "30 23 0:26 / \n- cgroup2\n30 23 0:26 / /x - cgroup2",
        ),
    ]);
    assert_eq!(cut.cpus(), None);
}

const CGROUP1: &str = "\
24 20 0:20 / /proc rw - proc proc rw
33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct
34 25 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
35 25 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
";

fn version_1(quota: &str, period: &str, more: &[(&str, &str)]) -> Root {
    let cgroups = "5:memory:/m\n4:cpuset:/s\n3:cpu,cpuacct:/docker/x:y\n1:name=systemd:/z\n";
    let root = Root::new(&[
        ("proc/self/cgroup", cgroups),
        ("proc/self/mountinfo", CGROUP1),
    ]);
    let leaf = "sys/fs/cgroup/cpu,cpuacct/docker/x:y";
    root.write(&format!("{leaf}/cpu.cfs_quota_us"), quota);
    root.write(&format!("{leaf}/cpu.cfs_period_us"), period);
    for (path, text) in more {
        root.write(path, text);
    }
    root
}

#[test]
fn version_1_has_two_files() {
    assert_eq!(version_1("250000\n", "100000\n", &[]).cpus(), Some(3));
    assert_eq!(version_1("-1\n", "100000\n", &[]).cpus(), None);
    assert_eq!(version_1("20000\n", "100000\n", &[]).cpus(), Some(1));
}

#[test]
fn version_1_s_ancestors_count_too() {
    let above = "sys/fs/cgroup/cpu,cpuacct/docker";
    let root = version_1(
        "-1",
        "100000",
        &[
            (&format!("{above}/cpu.cfs_quota_us"), "150000"),
            (&format!("{above}/cpu.cfs_period_us"), "100000"),
        ],
    );
    assert_eq!(root.cpus(), Some(2));
}

#[test]
fn a_container_sees_its_own_directory_at_the_mount_point() {
    // Version 1 without a namespace: the paths are the host's, and the mount begins at the
    // container's cgroup.
    let root = Root::new(&[
        ("proc/self/cgroup", "3:cpu:/docker/abc/inner\n"),
        (
            "proc/self/mountinfo",
            "33 25 0:29 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n",
        ),
        ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000"),
        ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"),
    ]);
    assert_eq!(root.cpus(), Some(2));
    // And version 2 with one.
    let root = Root::new(&[
        ("proc/self/cgroup", "0::/\n"),
        ("proc/self/mountinfo", CGROUP2),
        ("sys/fs/cgroup/cpu.max", "350000 100000"),
    ]);
    assert_eq!(root.cpus(), Some(4));
}

#[test]
fn a_hybrid_system_has_the_controller_in_one_of_two_hierarchies() {
    let unified = "38 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    let mounts = format!("{CGROUP1}{unified}");
    let root = Root::new(&[
        (
            "proc/self/cgroup",
            "3:cpu,cpuacct:/job\n1:name=systemd:/job\n0::/job\n",
        ),
        ("proc/self/mountinfo", &mounts),
        ("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "100000"),
        ("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "50000"),
        ("sys/fs/cgroup/unified/job/cgroup.procs", "1"),
    ]);
    assert_eq!(root.cpus(), Some(2));
    root.write("sys/fs/cgroup/unified/job/cpu.max", "100000 100000");
    assert_eq!(root.cpus(), Some(1));
}

#[test]
fn another_mount_point_is_found() {
    let root = Root::new(&[
        ("proc/self/cgroup", "0::/a b\n"),
        (
            "proc/self/mountinfo",
            "30 23 0:26 / /run/my\\040groups rw - cgroup2 none rw\n",
        ),
        ("run/my groups/a b/cpu.max", "300000 100000"),
    ]);
    assert_eq!(root.cpus(), Some(3));
}

#[test]
fn a_mount_of_another_branch_does_not_count() {
    let root = Root::new(&[
        ("proc/self/cgroup", "0::/mine\n"),
        (
            "proc/self/mountinfo",
            "30 23 0:26 /min /mnt/x rw - cgroup2 none rw\n31 23 0:26 /other /mnt/y rw - cgroup2 none rw\n",
        ),
        ("mnt/x/cpu.max", "100000 100000"),
        ("mnt/y/cpu.max", "100000 100000"),
    ]);
    assert_eq!(root.cpus(), None);
}

#[test]
fn paths_above_the_namespace_are_compared_by_level() {
    for (path, root, expected) in [
        ("/", "/", Some("")),
        ("/a/b", "/", Some("/a/b")),
        ("/a/b", "/a", Some("/b")),
        ("/a/b", "/a/b", Some("")),
        ("/ab", "/a", None),
        ("/a", "/a/b", None),
        // The mount begins two levels above the namespace: it is an ancestor, and all that can be
        // known.
        ("/x", "/../..", Some("")),
        ("/x", "/../other", None),
        ("/../x/y", "/../x", Some("/y")),
        ("/../x", "/", None),
        ("/..x", "/", Some("/..x")),
    ] {
        assert_eq!(below(path, root), expected, "{path} in {root}");
    }
}
