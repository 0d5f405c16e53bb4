//! A crawler: pages are fetched side by side, at most three at a time, and the first error ends it.
//!
//! Each level of the site is one group: its pages are fetched by members, which put the links that
//! they find into the next level. `spawn(…).await` waits for a place, so a thousand links are not a
//! thousand connections.
//!
//! Go: `errgroup` with `SetLimit(3)`, and a mutex around the map of what was seen.
//!
//! Run: `cargo run --release --example crawl`
//!
//! Prints the pages that are no link, one link, two links from the start; then
//! `crawled 8 pages, at most 3 at a time`; and what a broken link does:
//! `a broken site: /gone: no such page`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sync::Mutex;
use sync::errgroup::Group;

const LIMIT: usize = 3;

static FETCHING: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// Stands for a request over the network.
async fn fetch(page: &str) -> Result<&'static [&'static str], String> {
    let now = FETCHING.fetch_add(1, Ordering::Relaxed) + 1;
    MOST.fetch_max(now, Ordering::Relaxed);
    runtime::time::sleep(Duration::from_millis(5)).await;
    FETCHING.fetch_sub(1, Ordering::Relaxed);
    match page {
        "/" => Ok(&["/docs", "/blog", "/about"]),
        "/docs" => Ok(&["/docs/tasks", "/docs/channels", "/"]),
        "/blog" => Ok(&["/blog/1", "/blog/2", "/docs"]),
        "/broken" => Ok(&["/gone", "/docs"]),
        "/about" | "/docs/tasks" | "/docs/channels" | "/blog/1" | "/blog/2" => Ok(&[]),
        _ => Err(format!("{page}: no such page")),
    }
}

/// Returns how many pages there are.
async fn crawl(start: &'static str) -> Result<usize, String> {
    let mut seen = BTreeSet::from([start]);
    let (mut level, mut depth) = (vec![start], 0);
    while !level.is_empty() {
        println!("{depth} links from {start}: {level:?}");
        let found = Arc::new(Mutex::new(Vec::<&'static str>::new()));
        let mut group = Group::<String>::new();
        group.set_limit(LIMIT);
        for page in level {
            let found = found.clone();
            let started = group.spawn(async move {
                let links = fetch(page).await?;
                found.lock().await.extend(links);
                Ok(())
            });
            if !started.await {
                break; // One has failed: nothing new is started.
            }
        }
        group.wait().await?;
        level = found
            .lock()
            .await
            .drain(..)
            .filter(|&link| seen.insert(link))
            .collect();
        level.sort_unstable();
        depth += 1;
    }
    Ok(seen.len())
}

#[runtime::main]
async fn main() {
    let pages = crawl("/").await.expect("all links lead somewhere");
    let most = MOST.load(Ordering::Relaxed);
    println!("crawled {pages} pages, at most {most} at a time");
    assert!(most <= LIMIT);

    let error = crawl("/broken").await.expect_err("a link leads nowhere");
    println!("a broken site: {error}");
}
