//! Sends responses that are cut off, slow or endless.

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::server::{Shared, lock};
use crate::transmission::Transmission;

/// The ways in which a fault sends a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultySending {
    Nothing,
    Reset,
    Refuse(Duration),
    Cut,
    Endless(Duration),
    Drip(Duration),
}

impl FaultySending {
    pub fn has_status(self) -> bool {
        !matches!(self, Self::Nothing | Self::Reset | Self::Refuse(_))
    }

    pub fn is_chunked(self) -> bool {
        matches!(self, Self::Endless(_))
    }
}

impl Shared {
    /// Sends a response with a fault. Returns true if the connection can still be used.
    pub(crate) fn send_faulty(
        &self,
        sending: FaultySending,
        transmission: &Transmission,
        head: Vec<u8>,
        stream: &mut TcpStream,
    ) -> io::Result<bool> {
        let body = &transmission.response.body;
        let mut bytes = head;
        match sending {
            FaultySending::Nothing => Ok(false),
            FaultySending::Reset => {
                rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO))?;
                // The socket is not shut down, which would close the connection in an orderly way.
                Err(io::ErrorKind::ConnectionReset.into())
            }
            FaultySending::Refuse(time) => {
                *lock(&self.away) = Some(time);
                self.wake();
                // The accepting thread closes this connection together with all others.
                self.sleep_until(Instant::now() + time);
                Ok(false)
            }
            FaultySending::Cut => {
                bytes.extend_from_slice(&body[..body.len() / 2]);
                stream.write_all(&bytes)?;
                Ok(false)
            }
            FaultySending::Endless(pause) => {
                // The last bracket is omitted, so that the spaces that follow are part of the array.
                let open = body.split_last().map_or(&[][..], |(_, rest)| rest);
                if !open.is_empty() {
                    bytes.extend(format!("{:x}\r\n", open.len()).into_bytes());
                    bytes.extend_from_slice(open);
                    bytes.extend(b"\r\n");
                }
                stream.write_all(&bytes)?;
                let spaces = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
                while !self.stopped() {
                    stream.write_all(spaces.as_bytes())?;
                    self.sleep_until(Instant::now() + pause);
                }
                Ok(false)
            }
            FaultySending::Drip(pause) => {
                stream.write_all(&bytes)?;
                for byte in body {
                    if self.stopped() {
                        return Ok(false);
                    }
                    stream.write_all(&[*byte])?;
                    self.sleep_until(Instant::now() + pause);
                }
                Ok(true)
            }
        }
    }
}
