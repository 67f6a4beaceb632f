//! The kernel's own list of sockets, asked for by netlink: `sock_diag(7)`. To read `/proc/net/tcp` is to walk through every bucket
//! of a table that is large on every host.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// Of `linux/netlink.h` and `linux/inet_diag.h`.
const BY_FAMILY: u16 = 20;
const REQUEST_DUMP: u16 = 0x301;
const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: u32 = 72;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// Where things are in an answer, after its header.
const STATE: usize = 1;
const RECEIVED: usize = 56;
const SENT: usize = 60;
const ANSWER_BYTES: usize = 72;

const TCP: u8 = 6;
const FAMILIES: [u8; 2] = [2, 10];

/// The kernel answers with a page or two at a time.
const BUFFER_BYTES: usize = 32 << 10;
/// A dump that goes on for longer is none.
const ANSWERS_MAX: usize = 100_000;

/// One socket: its state, and what waits to be read and to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) state: u8,
    pub(super) received: u32,
    pub(super) sent: u32,
}

/// Hands on every socket of TCP, over IPv4 and over IPv6.
pub(super) fn tcp(each: &mut dyn FnMut(Socket)) -> Result<(), Errno> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    let protocol = Some(netlink::SOCK_DIAG);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    for family in FAMILIES {
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(&socket, &request(family), SendFlags::empty(), &kernel)?;
        dump(&socket, &mut buffer, each)?;
    }
    Ok(())
}

fn dump(socket: &OwnedFd, buffer: &mut [u8], each: &mut dyn FnMut(Socket)) -> Result<(), Errno> {
    for _ in 0..ANSWERS_MAX {
        let (read, _) = recv(socket, &mut *buffer, RecvFlags::empty())?;
        if messages(&buffer[..read], each)? {
            return Ok(());
        }
    }
    Err(Errno::MSGSIZE)
}

fn request(family: u8) -> [u8; REQUEST_BYTES as usize] {
    let mut bytes = [0; REQUEST_BYTES as usize];
    bytes[..4].copy_from_slice(&REQUEST_BYTES.to_ne_bytes());
    bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
    bytes[HEADER_BYTES] = family;
    bytes[HEADER_BYTES + 1] = TCP;
    // In whatever state.
    bytes[HEADER_BYTES + 4..HEADER_BYTES + 8].fill(0xff);
    bytes
}

/// Whether the last message is among these.
fn messages(mut bytes: &[u8], each: &mut dyn FnMut(Socket)) -> Result<bool, Errno> {
    while bytes.len() >= HEADER_BYTES {
        let length = number(bytes, 0) as usize;
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        match kind {
            DONE => return Ok(true),
            ERROR => return Err(Errno::PROTO),
            _ => {}
        }
        if length < HEADER_BYTES || length > bytes.len() {
            return Err(Errno::PROTO);
        }
        let answer = &bytes[HEADER_BYTES..length];
        if kind == BY_FAMILY && answer.len() >= ANSWER_BYTES {
            each(Socket {
                state: answer[STATE],
                received: number(answer, RECEIVED),
                sent: number(answer, SENT),
            });
        }
        // Messages begin at multiples of four.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Four bytes as the kernel has them; whoever asks knows that they are there.
fn number(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(four)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_listens_is_seen() {
        const LISTEN: u8 = 10;
        let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut listening = 0;
        // A sandbox may refuse it; then the files in `/proc` are read.
        let asked = tcp(&mut |socket| listening += u32::from(socket.state == LISTEN));
        if asked.is_ok() {
            assert!(listening >= 1);
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let mut none = |_: Socket| panic!("there is none");
        assert_eq!(messages(&[], &mut none), Ok(false));
        assert_eq!(messages(&[1; 7], &mut none), Ok(false));
        assert_eq!(messages(&[0; 16], &mut none), Err(Errno::PROTO));
        assert_eq!(messages(&[0xff; 40], &mut none), Err(Errno::PROTO));
        let mut short = [0; 20];
        short[0] = 20;
        assert_eq!(messages(&short, &mut none), Ok(false));
    }
}
