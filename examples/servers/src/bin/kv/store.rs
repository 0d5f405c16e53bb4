//! The keys and values: shards, each a map behind a lock.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use runtime::time::Instant;

/// Some times the number of processors: two clients seldom meet in one.
const SHARDS: usize = 64;

/// See the story of this file.
#[derive(Debug)]
pub(crate) struct Store {
    shards: [Mutex<HashMap<Vec<u8>, Entry>>; SHARDS],
    hasher: RandomState,
}

/// A value, and when it ends.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) expires: Option<Instant>,
}

/// What a key may hold.
#[derive(Debug)]
pub(crate) enum Value {
    Text(Vec<u8>),
    List(VecDeque<Vec<u8>>),
    Set(HashSet<Vec<u8>>),
    Hash(HashMap<Vec<u8>, Vec<u8>>),
}

impl Default for Store {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }
}

type Shard<'a> = MutexGuard<'a, HashMap<Vec<u8>, Entry>>;

impl Entry {
    fn is_over(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

impl Store {
    fn shard(&self, key: &[u8]) -> Shard<'_> {
        let number = self.hasher.hash_one(key) as usize % SHARDS;
        lock(&self.shards[number])
    }

    /// Calls `f` with the entry of a key, if there is one.
    pub(crate) fn with<R>(&self, key: &[u8], f: impl FnOnce(Option<&mut Entry>) -> R) -> R {
        let mut shard = self.shard(key);
        match shard.get_mut(key) {
            Some(entry) if entry.expires.is_some() && entry.is_over(Instant::now()) => {
                shard.remove(key);
                f(None)
            }
            entry => f(entry),
        }
    }

    /// Calls `f` with the value of a key, which is made if there is none. A collection that is
    /// empty afterwards is removed.
    pub(crate) fn edit<R>(
        &self,
        key: &[u8],
        new: impl FnOnce() -> Value,
        f: impl FnOnce(&mut Value) -> R,
    ) -> R {
        let mut shard = self.shard(key);
        if shard
            .get(key)
            .is_some_and(|entry| entry.is_over(Instant::now()))
        {
            shard.remove(key);
        }
        // Looked up first: most keys are there, and need no copy.
        if !shard.contains_key(key) {
            let (value, expires) = (new(), None);
            shard.insert(key.to_vec(), Entry { value, expires });
        }
        let entry = shard.get_mut(key).expect("it has just been made");
        let result = f(&mut entry.value);
        if entry.value.is_empty_collection() {
            shard.remove(key);
        }
        result
    }

    /// Puts an entry in the place of what there was.
    pub(crate) fn set(&self, key: &[u8], entry: Entry) {
        self.shard(key).insert(key.to_vec(), entry);
    }

    /// Whether there was something to remove.
    pub(crate) fn remove(&self, key: &[u8]) -> bool {
        let removed = self.shard(key).remove(key);
        removed.is_some_and(|entry| !entry.is_over(Instant::now()))
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    pub(crate) fn clear(&self) {
        self.shards.iter().for_each(|shard| lock(shard).clear());
    }

    /// Removes what is over.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        for shard in &self.shards {
            lock(shard).retain(|_, entry| !entry.is_over(now));
        }
    }
}

impl Value {
    fn is_empty_collection(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
        }
    }
}

/// A panic under the lock leaves a map that is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
