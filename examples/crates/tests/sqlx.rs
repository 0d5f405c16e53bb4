//! sqlx, which knows Tokio, with SQLite in a file: in `with_tokio`.

mod support;

use std::path::PathBuf;
use std::time::Duration;

use net::compat::with_tokio;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use support::run;

/// A database in a directory of its own, which is removed with it.
struct Database {
    directory: PathBuf,
    pool: SqlitePool,
}

impl Database {
    /// Of this name, which no other test has.
    async fn create(name: &str) -> Self {
        let directory = format!("weftline-sqlx-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        let options = SqliteConnectOptions::new()
            .filename(directory.join("guests.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(60));
        // Fewer than there are tasks, so that some wait for one.
        let pool = SqlitePoolOptions::new().max_connections(4);
        let pool = pool.acquire_timeout(Duration::from_secs(60));
        let pool = pool.connect_with(options).await.unwrap();
        let table = "CREATE TABLE guests (id INTEGER PRIMARY KEY, name TEXT NOT NULL)";
        sqlx::query(table).execute(&pool).await.unwrap();
        Self { directory, pool }
    }

    async fn count(&self) -> i64 {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM guests");
        count.fetch_one(&self.pool).await.unwrap()
    }

    async fn remove(self) {
        self.pool.close().await;
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

#[test]
fn twenty_tasks_share_a_pool() {
    run(with_tokio(async {
        let database = Database::create("pool").await;
        let tasks: Vec<_> = (0..20)
            .map(|i| {
                let pool = database.pool.clone();
                runtime::spawn(with_tokio(async move {
                    let insert = sqlx::query("INSERT INTO guests (name) VALUES (?)");
                    insert.bind(format!("guest {i}")).execute(&pool).await?;
                    let name = sqlx::query_scalar("SELECT name FROM guests WHERE name = ?");
                    name.bind(format!("guest {i}")).fetch_one(&pool).await
                }))
            })
            .collect();
        for (i, task) in tasks.into_iter().enumerate() {
            let name: Result<String, sqlx::Error> = task.await.unwrap();
            assert_eq!(name.unwrap(), format!("guest {i}"));
        }
        assert_eq!(database.count().await, 20);
        database.remove().await;
    }));
}

#[test]
fn a_transaction_that_is_dropped_has_not_happened() {
    run(with_tokio(async {
        let database = Database::create("transaction").await;
        let insert = || sqlx::query("INSERT INTO guests (name) VALUES ('somebody')");
        for commits in [false, true] {
            let mut transaction = database.pool.begin().await.unwrap();
            insert().execute(&mut *transaction).await.unwrap();
            if commits {
                transaction.commit().await.unwrap();
            }
        }
        assert_eq!(database.count().await, 1);
        database.remove().await;
    }));
}

#[test]
fn a_task_that_is_aborted_gives_its_connection_back() {
    run(with_tokio(async {
        let database = Database::create("abort").await;
        for _ in 0..20 {
            let pool = database.pool.clone();
            let (holds, held) = sync::channel(0);
            let task = runtime::spawn(with_tokio(async move {
                let _connection = pool.acquire().await.unwrap();
                holds.send(()).await.unwrap();
                std::future::pending::<()>().await;
            }));
            held.recv().await.unwrap();
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        // All of the pool's at once.
        let mut connections = Vec::new();
        for _ in 0..4 {
            connections.push(database.pool.acquire().await.unwrap());
        }
        drop(connections);
        database.remove().await;
    }));
}
