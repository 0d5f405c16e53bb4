//! A room of two thousand: what one says, all others read, and one who reads nothing holds up nobody.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use support::run;

const MEMBERS: usize = 2_000;
const LINES: usize = 20;

/// The server; ended when it is dropped.
struct Chat(Child);

impl Drop for Chat {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn chat() -> (Chat, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_chat"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let chat = Chat(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("listening on ").unwrap();
    (chat, address.to_owned())
}

/// Reads until so many lines have come from the one who speaks.
async fn hear(stream: net::TcpStream) -> Vec<String> {
    let (mut text, mut buf) = (String::new(), vec![0; 4096]);
    let said = |text: &str| -> Vec<String> {
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let said = whole.filter(|line| line.starts_with("speaker: "));
        said.map(|line| line.trim_end().to_owned()).collect()
    };
    loop {
        let heard = said(&text);
        if heard.len() == LINES {
            return heard;
        }
        let n = stream.read(&mut buf).await.unwrap();
        assert_ne!(n, 0, "shown out after {} lines", heard.len());
        text.push_str(std::str::from_utf8(&buf[..n]).unwrap());
    }
}

/// Enters the room: the name is said, and the welcome has come.
async fn enter(address: &str, name: &str) -> net::TcpStream {
    let stream = net::TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("{name}\n").as_bytes())
        .await
        .unwrap();
    let welcome = format!("* welcome, {name}\n");
    let mut buf = vec![0; welcome.len()];
    stream.read_exact(&mut buf).await.unwrap();
    assert_eq!(buf, welcome.as_bytes());
    stream
}

#[test]
fn what_one_says_all_others_read() {
    run(async {
        let (_chat, address) = chat();
        let _deaf = enter(&address, "deaf").await;
        let mut members = Vec::new();
        for number in 0..MEMBERS {
            let stream = enter(&address, &format!("member-{number}")).await;
            // From now on it reads, so that those who come after do not fill its channel.
            members.push(runtime::spawn(hear(stream)));
        }
        let speaker = enter(&address, "speaker").await;
        let expected: Vec<_> = (0..LINES).map(|i| format!("speaker: line {i}")).collect();
        for i in 0..LINES {
            speaker
                .write_all(format!("line {i}\n").as_bytes())
                .await
                .unwrap();
        }
        for member in members {
            assert_eq!(member.await.unwrap(), expected);
        }
    });
}
