//! Do two trees hold the same values? Each is walked by a task of its own, and the walks are
//! compared as they go.
//!
//! An `async fn` that calls itself needs a box around the call. As soon as a difference is found
//! the receivers are dropped; then the walkers' next send fails, and they end early: no task is
//! left behind, and no channel is needed to tell them.
//!
//! Go: the exercise "Equivalent Binary Trees" of the tour, which leaks its walkers.
//!
//! Run: `cargo run --release --example tree_walk`
//!
//! Prints `same: true`, `same: false`, and `0 tasks are left`.

use sync::{SendError, Sender, channel};

#[derive(Default)]
struct Tree {
    left: Option<Box<Tree>>,
    value: u32,
    right: Option<Box<Tree>>,
}

impl Tree {
    /// The values in the order in which they come.
    fn of(values: impl IntoIterator<Item = u32>) -> Option<Box<Self>> {
        let mut tree: Option<Box<Self>> = None;
        for value in values {
            let mut place = &mut tree;
            while let Some(node) = place {
                place = match value < node.value {
                    true => &mut node.left,
                    false => &mut node.right,
                };
            }
            *place = Some(Box::new(Self {
                value,
                ..Self::default()
            }));
        }
        tree
    }
}

/// Sends all values, smallest first; ends with an error when nobody listens any more.
async fn walk(tree: &Option<Box<Tree>>, values: &Sender<u32>) -> Result<(), SendError<u32>> {
    if let Some(node) = tree {
        Box::pin(walk(&node.left, values)).await?;
        values.send(node.value).await?;
        Box::pin(walk(&node.right, values)).await?;
    }
    Ok(())
}

async fn same(one: Option<Box<Tree>>, other: Option<Box<Tree>>) -> bool {
    let [left, right] = [one, other].map(|tree| {
        let (values, walked) = channel(0);
        runtime::spawn(async move { walk(&tree, &values).await });
        walked
    });
    loop {
        match (left.recv().await, right.recv().await) {
            (None, None) => return true,
            (left, right) if left == right => {}
            _ => return false,
        }
    }
}

#[runtime::main]
async fn main() {
    let up = || Tree::of(0..1000);
    let shuffled = || Tree::of((0..1000).map(|n| n * 7 % 1000));
    println!("same: {}", same(up(), shuffled()).await);
    println!(
        "same: {}",
        same(up(), Tree::of((0..1000).map(|n| n * 2))).await
    );

    while runtime::num_tasks() > 1 {
        runtime::yield_now().await; // The walkers are about to notice.
    }
    println!("{} tasks are left", runtime::num_tasks() - 1);
}
