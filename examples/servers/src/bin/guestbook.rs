//! A service with a database: a guest book in PostgreSQL, over HTTP.
//!
//! tokio-postgres asks for a stream with Tokio's I/O traits and a task for its connection, and gets
//! both from Weftline: no Tokio runtime is there. One connection serves all requests: the client
//! pipelines their queries. When it breaks the program ends, and whoever runs it starts it again.
//!
//! Go: `sql.Open("postgres", …)`, `db.QueryContext(ctx, …)`.
//!
//! Run:
//! `cargo run --release -p weftline-servers --bin guestbook -- 127.0.0.1:8080 'host=127.0.0.1 port=5432 user=postgres'`,
//! then `curl -d 'Ada was here' http://127.0.0.1:8080/` and `curl http://127.0.0.1:8080/`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use net::{Dialer, TcpListener, UnixStream};
use runtime::JoinHandle;
use runtime::time::timeout;
use sync::select;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

/// How long a query may take.
const QUERY: Duration = Duration::from_secs(5);

// cookbook: connect
/// A client, and the task of its connection, which ends when the connection does.
async fn database(config: &Config) -> Result<(Client, JoinHandle<()>), Box<dyn Error>> {
    let host = config
        .get_hosts()
        .first()
        .ok_or("no host in the database's address")?;
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match host {
        Host::Tcp(name) => {
            let address = format!("{name}:{port}");
            let stream = Dialer::new().timeout(QUERY).connect(address).await?;
            over(stream, config).await
        }
        Host::Unix(directory) => {
            let stream = UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).await?;
            over(stream, config).await
        }
    }
}

async fn over<S>(stream: S, config: &Config) -> Result<(Client, JoinHandle<()>), Box<dyn Error>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = timeout(QUERY, config.connect_raw(stream, NoTls)).await??;
    let connection = runtime::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("the database is gone: {error}");
        }
    });
    Ok((client, connection))
}
// cookbook: end

// cookbook: query
async fn read(State(db): State<Arc<Client>>) -> Result<String, (StatusCode, String)> {
    let query = db.query("SELECT line FROM guests ORDER BY id", &[]);
    let rows = timeout(QUERY, query)
        .await
        .map_err(failed)?
        .map_err(failed)?;
    Ok(rows
        .iter()
        .map(|row| format!("{}\n", row.get::<_, &str>(0)))
        .collect())
}

async fn write(
    State(db): State<Arc<Client>>,
    line: String,
) -> Result<StatusCode, (StatusCode, String)> {
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&line];
    let insert = db.execute("INSERT INTO guests (line) VALUES ($1)", &parameters);
    timeout(QUERY, insert)
        .await
        .map_err(failed)?
        .map_err(failed)?;
    Ok(StatusCode::CREATED)
}

fn failed(error: impl Error) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))
}
// cookbook: end

#[runtime::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config: Config = servers::argument(2)
        .ok_or("usage: guestbook ADDRESS 'host=… port=… user=…'")?
        .parse()?;
    let (db, connection) = database(&config).await?;
    db.batch_execute(
        "CREATE TABLE IF NOT EXISTS guests (id serial PRIMARY KEY, line text NOT NULL)",
    )
    .await?;

    let stop = servers::until_asked_to_stop()?;
    let listener = TcpListener::bind(servers::address()).await?;
    servers::announce(listener.local_addr()?);
    let site = Router::new()
        .route("/", get(read).post(write))
        .with_state(Arc::new(db));
    let server = net::hyper::serve(listener, site).shutdown_on(async move { stop.done().await });
    select! {
        ended = server.into_future() => Ok(ended?),
        _ = connection => Err(io::Error::other("the database has ended the connection").into()),
    }
}
