//! The chat room, as its members see it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

struct Room {
    process: Child,
    address: String,
}

impl Room {
    fn open() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(process.stdout.as_mut().unwrap());
        said.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").unwrap();
        let address = address.to_owned();
        Self { process, address }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Who has heard nothing for longer than a line may take is told of the end all the same.
#[test]
fn a_member_who_has_heard_nothing_for_long_is_told_that_the_room_closes() {
    let mut room = Room::open();
    let mut member = TcpStream::connect(&room.address).unwrap();
    // Only a hang lasts as long.
    member
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    member.write_all(b"ann\n").unwrap();
    let mut lines = BufReader::new(member);
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "* welcome, ann\n");
    // The silence is what is tested: longer than the five seconds that a line may take. Nothing is
    // waited for, and a longer one does as well.
    thread::sleep(Duration::from_secs(6));
    let number = room.process.id().to_string();
    let told = Command::new("kill").args(["-TERM", &number]).status();
    assert!(told.unwrap().success());
    line.clear();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "* the room is closing\n");
    assert!(room.process.wait().unwrap().success());
}
