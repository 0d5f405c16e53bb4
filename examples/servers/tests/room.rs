//! A room of two thousand: what one says, all others read, and one who reads nothing holds up
//! nobody.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use support::run;

const MEMBERS: usize = 2_000;
const LINES: usize = 20;

/// The server; ended when it is dropped.
struct Chat(Child);

impl Chat {
    fn ask_to_end(&self) {
        // The shell's own `kill`: not every system has a program of that name.
        let script = format!("kill -TERM {}", self.0.id());
        let asked = Command::new("sh").args(["-c", &script]).status();
        assert!(asked.unwrap().success());
    }
}

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

/// Someone in the room, who reads by lines.
struct Member {
    stream: net::TcpStream,
    text: String,
}

impl Member {
    /// Says a name, and waits for the welcome.
    async fn enter(address: &str, name: &str) -> Self {
        let stream = net::TcpStream::connect(address).await.unwrap();
        let text = String::new();
        let mut member = Self { stream, text };
        member.say(name).await;
        assert_eq!(member.hear().await, format!("* welcome, {name}"));
        member
    }

    async fn say(&self, line: &str) {
        self.stream
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn hear(&mut self) -> String {
        let mut buf = [0; 4096];
        loop {
            if let Some((line, rest)) = self.text.split_once('\n') {
                let line = line.to_owned();
                self.text = rest.to_owned();
                return line;
            }
            let n = self.stream.read(&mut buf).await.unwrap();
            assert_ne!(n, 0, "shown out");
            self.text.push_str(std::str::from_utf8(&buf[..n]).unwrap());
        }
    }
}

#[test]
fn what_one_says_all_others_read() {
    run(async {
        let (_chat, address) = chat();
        let mut members = Vec::new();
        for number in 0..MEMBERS {
            let mut member = Member::enter(&address, &format!("member-{number}")).await;
            // From now on it reads, so that what is said does not fill its channel.
            members.push(runtime::spawn(async move {
                for i in 0..LINES {
                    let mut line = member.hear().await;
                    while line.starts_with('*') {
                        line = member.hear().await;
                    }
                    assert_eq!(line, format!("speaker: line {i}"));
                }
                member
            }));
        }
        let speaker = Member::enter(&address, "speaker").await;
        for i in 0..LINES {
            speaker.say(&format!("line {i}")).await;
        }
        for member in members {
            member.await.unwrap();
        }
    });
}

#[test]
fn one_who_reads_nothing_is_shown_out_and_holds_up_nobody() {
    run(async {
        let (_chat, address) = chat();
        let _deaf = Member::enter(&address, "deaf").await;
        let mut hearer = Member::enter(&address, "hearer").await;
        let speaker = Member::enter(&address, "speaker").await;
        assert_eq!(hearer.hear().await, "* speaker is here");
        let text = "x".repeat(4000);
        // Each line is waited for, so that the one who reads is never too slow.
        for number in 0.. {
            speaker.say(&format!("{number} {text}")).await;
            let mut line = hearer.hear().await;
            if line == "* deaf has left" {
                return;
            }
            assert_eq!(line.split_off(line.len() - 4000), text);
            assert_eq!(line, format!("speaker: {number} "));
        }
    });
}

#[test]
fn when_the_room_closes_all_hear_it_and_nobody_hears_who_leaves() {
    const FEW: usize = 20;
    run(async {
        let (chat, address) = chat();
        let mut members = Vec::new();
        for number in 0..FEW {
            members.push(Member::enter(&address, &format!("member-{number}")).await);
        }
        // All have been told who came after them, before the end begins.
        for (number, member) in members.iter_mut().enumerate() {
            for later in number + 1..FEW {
                assert_eq!(member.hear().await, format!("* member-{later} is here"));
            }
        }
        chat.ask_to_end();
        for member in &mut members {
            assert_eq!(member.hear().await, "* the room is closing");
            assert_eq!(member.text, "", "nothing follows");
            assert_eq!(member.stream.read(&mut [0; 1]).await.unwrap(), 0);
        }
    });
}
