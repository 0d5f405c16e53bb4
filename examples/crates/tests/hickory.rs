//! Names looked up at a name server of ours, over UDP, and over TCP where a datagram is too small.

mod support;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crates::hickory::Weftline;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};
use hickory_resolver::Resolver;
use hickory_resolver::config::{NameServerConfigGroup, ResolverConfig};
use hickory_resolver::name_server::GenericConnector;
use net::{TcpListener, TcpStream, UdpSocket};
use support::run;

/// The answer to a question: as many addresses as its first label says, or no such name.
fn answer(question: &[u8]) -> Message {
    let question = Message::from_vec(question).unwrap();
    let mut answer = Message::new();
    answer.set_id(question.id());
    answer.set_message_type(MessageType::Response);
    let query = question.queries()[0].clone();
    let name = query.name().clone();
    answer.add_query(query);
    match name.iter().next().map(std::str::from_utf8) {
        Some(Ok(label)) if label.parse::<u8>().is_ok() => {
            for last in 1..=label.parse().unwrap() {
                let address = RData::A(A(Ipv4Addr::new(192, 0, 2, last)));
                answer.add_answer(Record::from_rdata(name.clone(), 60, address));
            }
        }
        _ => _ = answer.set_response_code(ResponseCode::NXDomain),
    }
    answer
}

async fn datagrams(socket: UdpSocket) {
    let mut buf = [0; 4096];
    loop {
        let (n, from) = socket.recv_from(&mut buf).await.unwrap();
        let mut answer = answer(&buf[..n]);
        if answer.answers().len() > 10 {
            answer.take_answers();
            answer.set_truncated(true);
        }
        let answer = answer.to_vec().unwrap();
        socket.send_to(&answer, from).await.unwrap();
    }
}

async fn connections(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        runtime::spawn(connection(stream));
    }
}

async fn connection(stream: TcpStream) -> std::io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).await?;
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut question).await?;
        let answer = answer(&question).to_vec().unwrap();
        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
        stream.write_all(&[&length[..], &answer].concat()).await?;
    }
}

/// A name server on one port, in both kinds, and one who asks it.
async fn resolver() -> Resolver<GenericConnector<Weftline>> {
    let address = loop {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = socket.local_addr().unwrap();
        if let Ok(listener) = TcpListener::bind(address).await {
            runtime::spawn(datagrams(socket));
            runtime::spawn(connections(listener));
            break address;
        }
    };
    let servers = NameServerConfigGroup::from_ips_clear(&[address.ip()], address.port(), true);
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut builder = Resolver::builder_with_config(config, GenericConnector::new(Weftline));
    // Only a hang lasts as long.
    builder.options_mut().timeout = Duration::from_secs(60);
    builder.build()
}

fn last(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(_) => panic!("nobody asked for {address}"),
    }
}

#[test]
fn a_name_is_looked_up() {
    run(async {
        let resolver = resolver().await;
        let found = resolver.ipv4_lookup("3.weftline.test.").await.unwrap();
        let mut found: Vec<_> = found.iter().map(|a| last(IpAddr::V4(a.0))).collect();
        found.sort();
        assert_eq!(found, [1, 2, 3]);
        let none = resolver.ipv4_lookup("none.weftline.test.").await;
        assert!(none.unwrap_err().is_nx_domain());
    });
}

#[test]
fn what_no_datagram_holds_comes_over_a_connection() {
    run(async {
        let resolver = resolver().await;
        let found = resolver.ipv4_lookup("200.weftline.test.").await.unwrap();
        assert_eq!(found.iter().count(), 200);
    });
}

#[test]
fn many_ask_at_once() {
    run(async {
        let resolver = resolver().await;
        let tasks: Vec<_> = (0..100)
            .map(|i| {
                let resolver = resolver.clone();
                runtime::spawn(async move {
                    let name = format!("{}.weftline{i}.test.", i % 20);
                    let found = resolver.ipv4_lookup(name.as_str()).await;
                    found.map_or(0, |found| found.iter().count())
                })
            })
            .collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), i % 20);
        }
    });
}
