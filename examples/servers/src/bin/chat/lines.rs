//! Lines from a stream.
#![forbid(unsafe_code)]

use std::io;

use net::TcpStream;

/// The longest line.
const LONGEST: usize = 4096;

/// Cuts what a stream sends into lines.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    stream: &'a TcpStream,
    buffer: Vec<u8>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(stream: &'a TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// The next line without its end; `None` at the end of the stream. Dropping the future loses
    /// nothing: what has been read stays here.
    pub(crate) async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            if self.buffer.len() > LONGEST {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "too long a line",
                ));
            }
            let mut chunk = [0; 512];
            match self.stream.read(&mut chunk).await? {
                0 => return Ok(None),
                n => self.buffer.extend_from_slice(&chunk[..n]),
            }
        }
    }
}
