//! What these tests share.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(unused_imports, reason = "as above")]

mod running;

pub(crate) use running::run;

/// Both ends of a connection.
pub(crate) async fn pair() -> (net::TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = net::TcpStream::connect(listener.local_addr().unwrap());
    let client = client.await.unwrap();
    (client, listener.accept().await.unwrap().0)
}
