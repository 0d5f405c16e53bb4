//! A cache that is asked by many at once, and asks the database once for each key.
//!
//! What is there is read under an `RwLock`. For what is not, `singleflight` lets the first ask and
//! the others wait for the same answer; so a thousand requests for a key that has just expired are
//! one query, not a thousand.
//!
//! Go: `singleflight.Group` in front of a map with a `sync.RWMutex`.
//!
//! Run: `cargo run --release --example cache`
//!
//! Prints `1000 requests for 10 keys: 10 queries`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sync::singleflight::Group;
use sync::{RwLock, WaitGroup};

#[derive(Default)]
struct Cache {
    known: RwLock<HashMap<u32, String>>,
    asking: Group<u32, String>,
    queries: AtomicUsize,
}

impl Cache {
    async fn name(self: &Arc<Self>, id: u32) -> String {
        if let Some(name) = self.known.read().await.get(&id) {
            return name.clone();
        }
        let cache = self.clone();
        self.asking.run(id, move || cache.ask(id)).await
    }

    /// Runs in a task of its own, so that it ends even if those who asked go away.
    async fn ask(self: Arc<Self>, id: u32) -> String {
        // Another call may have ended between the look and this one.
        if let Some(name) = self.known.read().await.get(&id) {
            return name.clone();
        }
        self.queries.fetch_add(1, Ordering::Relaxed);
        runtime::time::sleep(Duration::from_millis(20)).await; // the database
        let name = format!("user {id}");
        self.known.write().await.insert(id, name.clone());
        name
    }
}

#[runtime::main]
async fn main() {
    const REQUESTS: u32 = 1000;
    const KEYS: u32 = 10;
    let cache = Arc::new(Cache::default());
    let group = WaitGroup::new();
    for n in 0..REQUESTS {
        let cache = cache.clone();
        group.spawn(async move {
            let id = n % KEYS;
            assert_eq!(cache.name(id).await, format!("user {id}"));
        });
    }
    group.wait().await;
    let queries = cache.queries.load(Ordering::Relaxed);
    println!("{REQUESTS} requests for {KEYS} keys: {queries} queries");
}
