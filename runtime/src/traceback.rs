//! The dump as Go prints goroutines, to the letter: what `{dump:#}` is, for tools that read Go's
//! traces.
//!
//! ```text
//! goroutine 7 [chan receive, 3 minutes]:
//! reader(...)
//!         src/main.rs:12
//! created by task in goroutine 1
//!         src/main.rs:5
//! ```
//!
//! A task has no stack while it waits, so there is one frame: the task's name, where it waits;
//! where it was spawned, if it does not wait or does not say where. A thread in `block_on` is
//! goroutine 0, which Go's programs have too, and of which no tool takes note.
//!
//! *Rejected*: this as the only form. A task is no goroutine, and a newcomer would look for the
//! function `reader`.
#![forbid(unsafe_code)]

use std::fmt::{self, Formatter};
use std::panic::Location;

use crate::dump::{BlockOnInfo, Minutes, TaskInfo};

/// The function of a task without a name.
const NAMELESS: &str = "task";

pub(crate) fn write_task(task: &TaskInfo, f: &mut Formatter<'_>) -> fmt::Result {
    let minutes = Minutes(task.waits_for);
    writeln!(f, "goroutine {} [{}{minutes}]:", task.id, task.state)?;
    let name = task.name.as_deref().unwrap_or(NAMELESS);
    write_frame(name, task.waits_at.unwrap_or(task.spawned_at), f)?;
    match task.parent {
        Some(parent) => writeln!(f, "created by {NAMELESS} in goroutine {parent}")?,
        None => writeln!(f, "created by main")?,
    }
    write_place(task.spawned_at, f)
}

pub(crate) fn write_block_on(block_on: &BlockOnInfo, f: &mut Formatter<'_>) -> fmt::Result {
    let minutes = Minutes(block_on.waits_for);
    match block_on.waiting {
        Some(reason) => writeln!(f, "goroutine 0 [{reason}{minutes}]:")?,
        None => writeln!(f, "goroutine 0 [running]:")?,
    }
    if let Some(place) = block_on.waits_at {
        write_frame("future", place, f)?;
    }
    write_frame("block_on", block_on.called_at, f)
}

fn write_frame(name: &str, place: &Location<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    // What would not be a function's name to a parser.
    let foreign = |c: char| c.is_control() || matches!(c, '(' | ')');
    writeln!(f, "{}(...)", name.replace(foreign, "_"))?;
    write_place(place, f)
}

/// Go has no columns.
fn write_place(place: &Location<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "\t{}:{}", place.file(), place.line())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dump::TaskState;
    use crate::task::{IdBlock, WaitReason};

    #[test]
    fn a_task_reads_as_a_goroutine_to_the_letter() {
        let mut ids = IdBlock::new();
        let (parent, id) = (ids.next(), ids.next());
        let here = Location::caller();
        let (file, line) = (here.file(), here.line());
        let waiting = TaskInfo {
            id,
            name: Some("reader (1)\n".into()),
            parent: Some(parent),
            spawned_at: here,
            state: TaskState::Waiting(WaitReason::ChanReceive),
            waits_at: Some(here),
            waits_for: Some(Duration::from_secs(200)),
        };
        let text = format!(
            "goroutine {id} [chan receive, 3 minutes]:\nreader _1__(...)\n\t{file}:{line}\n\
             created by task in goroutine {parent}\n\t{file}:{line}\n"
        );
        assert_eq!(format!("{waiting:#}"), text);
    }

    #[test]
    fn each_goroutine_has_a_frame() {
        let here = Location::caller();
        let (file, line) = (here.file(), here.line());
        let running = TaskInfo {
            id: IdBlock::new().next(),
            name: None,
            parent: None,
            spawned_at: here,
            state: TaskState::Running,
            waits_at: None,
            waits_for: None,
        };
        let text = format!(
            "goroutine {} [running]:\ntask(...)\n\t{file}:{line}\ncreated by main\n\t{file}:{line}\n",
            running.id
        );
        assert_eq!(format!("{running:#}"), text);
    }
}
