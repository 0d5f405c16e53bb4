//! The store, asked by Redis' client for Rust, which knows Tokio alone: in `with_tokio`, over a
//! socket of Tokio's and over one of ours.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use net::compat::with_tokio;
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisConnectionInfo, RedisResult, cmd, pipe};
use support::run;

/// A store of its own for each test; it ends with the test.
struct Store {
    process: Child,
    address: String,
}

impl Store {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kv"));
        let mut process = command
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(process.stdout.as_mut().unwrap());
        said.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").unwrap();
        let address = address.to_owned();
        Self { process, address }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a program does with such a connection: single commands, and many in one go.
async fn converse(mut connection: MultiplexedConnection, of: usize) -> RedisResult<()> {
    let key = |name: &str| format!("{name}:{of}");
    () = cmd("SET")
        .arg(key("drink"))
        .arg("tea")
        .query_async(&mut connection)
        .await?;
    let drink: String = cmd("GET")
        .arg(key("drink"))
        .query_async(&mut connection)
        .await?;
    assert_eq!(drink, "tea");
    let none: Option<String> = cmd("GET")
        .arg(key("none"))
        .query_async(&mut connection)
        .await?;
    assert_eq!(none, None);
    let mut many = pipe();
    for _ in 0..100 {
        many.cmd("INCR").arg(key("cups"));
    }
    let counts: Vec<usize> = many.query_async(&mut connection).await?;
    assert!(counts.into_iter().eq(1..=100));
    Ok(())
}

#[test]
fn redis_client_with_its_own_socket_works_inside_tokio_s_context() {
    let store = Store::start();
    let url = format!("redis://{}/", store.address);
    run(with_tokio(async move {
        let client = Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        // Many tasks of ours share the one connection.
        let tasks: Vec<_> = (0..20)
            .map(|of| runtime::spawn(with_tokio(converse(connection.clone(), of))))
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    }));
    drop(store);
}

#[test]
fn redis_client_speaks_over_a_socket_of_ours() {
    let store = Store::start();
    let address = store.address.clone();
    run(async move {
        let stream = net::TcpStream::connect(address).await.unwrap();
        // What it returns borrows from it, and the driver goes to a task of its own.
        static INFO: LazyLock<RedisConnectionInfo> = LazyLock::new(RedisConnectionInfo::default);
        let (connection, driver) = with_tokio(MultiplexedConnection::new(&INFO, stream))
            .await
            .unwrap();
        runtime::spawn(with_tokio(driver));
        with_tokio(converse(connection, 0)).await.unwrap();
    });
    drop(store);
}
