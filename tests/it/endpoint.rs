//! An endpoint on loopback that answers what a test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) content_type: &'static str,
    /// As the `date` of an HTTP answer.
    pub(crate) date: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// As CloudWatch answers.
    pub(crate) fn cbor(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type: "application/cbor",
            date: None,
            body: body.into(),
        }
    }
}

/// What the SDK reads of CBOR.
pub(crate) enum Cbor<'a> {
    Text(&'a str),
    Number(f64),
    Count(u16),
    /// Seconds since 1970.
    Time(f64),
    List(Vec<Cbor<'a>>),
    Map(Vec<(&'static str, Cbor<'a>)>),
}

impl Cbor<'_> {
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        let head = |kind: u8, count: usize, to: &mut Vec<u8>| {
            // The length follows in two bytes.
            to.push((kind << 5) | 0x19);
            to.extend(u16::try_from(count).unwrap().to_be_bytes());
        };
        match self {
            Self::Text(text) => {
                head(3, text.len(), to);
                to.extend(text.bytes());
            }
            Self::Number(number) => {
                to.push(0xfb);
                to.extend(number.to_be_bytes());
            }
            Self::Time(seconds) => {
                to.push(0xc1);
                Self::Number(*seconds).write(to);
            }
            Self::Count(count) => head(0, usize::from(*count), to),
            Self::List(items) => {
                head(4, items.len(), to);
                for item in items {
                    item.write(to);
                }
            }
            Self::Map(members) => {
                head(5, members.len(), to);
                for (name, member) in members {
                    Cbor::Text(name).write(to);
                    member.write(to);
                }
            }
        }
    }
}

/// Answers each request with what `answer` makes of its path and body, for as long as the test runs. Returns its address.
pub(crate) fn serve(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (connection, answer) = (connection.unwrap(), Arc::clone(&answer));
            std::thread::spawn(move || while one(&connection, &*answer).is_some() {});
        }
    });
    url
}

fn one(connection: &TcpStream, answer: &dyn Fn(&str, &str) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim();
        let methods = ["POST ", "GET "];
        if let Some(rest) = methods.iter().find_map(|method| line.strip_prefix(method)) {
            rest.split(' ').next()?.clone_into(&mut path);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let Answer {
        status,
        content_type,
        date,
        body,
    } = answer(&path, &String::from_utf8_lossy(&body));
    let date = date.map_or(String::new(), |date| format!("date: {date}\r\n"));
    let mut writer = connection;
    write!(
        writer,
        "HTTP/1.1 {status}\r\nsmithy-protocol: rpc-v2-cbor\r\ncontent-type: {content_type}\r\nx-amzn-requestid: a\r\n{date}content-length: {}\r\n\r\n",
        body.len()
    )
    .ok()?;
    writer.write_all(&body).ok()
}
