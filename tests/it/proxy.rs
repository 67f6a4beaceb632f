//! What stands between the program and CloudWatch: it remembers what arrived, has faults on demand, and passes on to LocalStack
//! what it is given to.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::read::GzDecoder;

use crate::world::pause;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// It arrives, and the answer does not.
    AnswerLost,
    /// It arrives, and whoever stands in between says that something failed.
    FailsAfter(u16),
    /// The connection ends before the body was read.
    ResetBeforeBody,
    /// The connection ends after that, and nothing arrives.
    ResetAfterBody,
    /// It arrives after so long.
    Slow(Duration),
    /// Nothing is ever said, and nothing arrives.
    Silent,
    /// A page, as a proxy or a captive portal would give.
    Page,
    /// Somebody who is not CloudWatch says so.
    Status(u16),
    /// CloudWatch refuses what was signed with this key, because it is no longer good.
    Expired(&'static str),
    /// CloudWatch asks for fewer requests.
    Throttled,
    /// CloudWatch refuses a request with a datapoint whose metric contains this.
    Rejects(&'static str),
    /// A request with more datapoints is too large.
    LargerThan(usize),
}

/// A datapoint as it arrived: its metric with dimensions, its start in seconds, and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrived {
    pub(crate) metric: String,
    pub(crate) start: i64,
    pub(crate) content: String,
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    /// What arrived, in order.
    pub(crate) requests: Vec<Vec<Arrived>>,
    /// How many datapoints arrived without anybody being told.
    pub(crate) untold: usize,
    /// How many requests there were.
    pub(crate) seen: usize,
    pub(crate) gzipped: usize,
    fault: Option<Fault>,
    /// How many requests there were since the fault was set.
    met: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    record: Arc<Mutex<Record>>,
}

impl Proxy {
    /// Listens on a port, any with 0. `upstream`: the port of what requests are passed on to; without one they are accepted
    /// here.
    pub(crate) fn start(port: u16, fault: Fault, upstream: Option<u16>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let record = Record {
            fault: Some(fault),
            ..Record::default()
        };
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            record: Arc::new(Mutex::new(record)),
        };
        let record = Arc::clone(&proxy.record);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let record = Arc::clone(&record);
                std::thread::spawn(move || while serve(&stream, &record, upstream).is_some() {});
            }
        });
        proxy
    }

    pub(crate) fn fault(&self, fault: Fault) {
        let mut record = self.record.lock().unwrap();
        (record.fault, record.met) = (Some(fault), 0);
    }

    /// How many requests there were since the fault was set.
    pub(crate) fn met(&self) -> usize {
        self.read(|record| record.met)
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Record) -> T) -> T {
        read(&self.record.lock().unwrap())
    }

    /// How often each datapoint arrived.
    pub(crate) fn counts(&self) -> BTreeMap<(String, i64, String), usize> {
        let mut counts = BTreeMap::new();
        self.read(|record| {
            for Arrived {
                metric,
                start,
                content,
            } in record.requests.iter().flatten().cloned()
            {
                *counts.entry((metric, start, content)).or_default() += 1;
            }
        });
        counts
    }
}

/// A request as it was read.
#[derive(Debug, Default)]
struct Request {
    /// With the lines' ends and without the empty one.
    head: String,
    length: u64,
    gzip: bool,
    body: Vec<u8>,
}

impl Request {
    fn read_head(reader: &mut BufReader<&TcpStream>) -> Option<Self> {
        let mut request = Self::default();
        let mut line = String::new();
        while reader.read_line(&mut line).ok()? > 2 {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                request.length = value.trim().parse().ok()?;
            }
            request.gzip |= name.eq_ignore_ascii_case("content-encoding") && value.trim() == "gzip";
            if !name.eq_ignore_ascii_case("connection") {
                request.head.push_str(&line);
            }
            line.clear();
        }
        (!request.head.is_empty()).then_some(request)
    }

    fn read_body(&mut self, reader: &mut BufReader<&TcpStream>) -> Option<()> {
        let read = reader.take(self.length).read_to_end(&mut self.body).ok()?;
        (read as u64 == self.length).then_some(())
    }

    /// The datapoints in it, if it is for CloudWatch.
    fn arrived(&self) -> Vec<Arrived> {
        let mut unpacked = Vec::new();
        match self.gzip {
            true => drop(GzDecoder::new(self.body.as_slice()).read_to_end(&mut unpacked)),
            false => unpacked.clone_from(&self.body),
        }
        datums(&unpacked).unwrap_or_default()
    }

    /// The answer of whoever listens on that port.
    fn pass_on(&self, upstream: u16) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", upstream)).ok()?;
        write!(stream, "{}connection: close\r\n\r\n", self.head).ok()?;
        stream.write_all(&self.body).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(answer)
    }
}

/// One request; `None` when there are no more.
fn serve(mut stream: &TcpStream, record: &Mutex<Record>, upstream: Option<u16>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut request = Request::read_head(&mut reader)?;
    let fault = {
        let mut record = record.lock().unwrap();
        record.seen += 1;
        record.met += 1;
        record.gzipped += usize::from(request.gzip);
        record.fault.unwrap_or(Fault::None)
    };
    if fault == Fault::ResetBeforeBody {
        return None;
    }
    request.read_body(&mut reader)?;
    let arrived = request.arrived();
    if let Fault::Slow(time) = fault {
        pause(time);
    }
    match way(fault, &request, &arrived) {
        Way::PassedOn => {}
        Way::Answered(answer) => return stream.write_all(&answer).ok(),
        Way::Ended => return None,
    }
    let answer = match upstream {
        None => accepted(),
        Some(upstream) => request.pass_on(upstream)?,
    };
    let mut record = record.lock().unwrap();
    if matches!(fault, Fault::AnswerLost | Fault::FailsAfter(_)) {
        record.untold += arrived.len();
    }
    record.requests.push(arrived);
    drop(record);
    match fault {
        Fault::AnswerLost => return None,
        Fault::FailsAfter(code) => return stream.write_all(&status(code)).ok(),
        _ => {}
    }
    stream.write_all(&answer).ok()?;
    // What was passed on ends with its connection.
    upstream.is_none().then_some(())
}

/// What becomes of a request that was read.
enum Way {
    PassedOn,
    Answered(Vec<u8>),
    /// The connection just ends.
    Ended,
}

fn way(fault: Fault, request: &Request, arrived: &[Arrived]) -> Way {
    let status =
        |status: u16| format!("HTTP/1.1 {status} Sorry\r\ncontent-length: 0\r\n\r\n").into_bytes();
    let refused = |refused: bool, answer: Vec<u8>| match refused {
        true => Way::Answered(answer),
        false => Way::PassedOn,
    };
    match fault {
        Fault::None | Fault::AnswerLost | Fault::FailsAfter(_) | Fault::Slow(_) => Way::PassedOn,
        Fault::ResetBeforeBody | Fault::ResetAfterBody => Way::Ended,
        Fault::Silent => {
            pause(Duration::from_secs(90));
            Way::Ended
        }
        Fault::Page => Way::Answered(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<html>Hi</html>"
                .to_vec(),
        ),
        Fault::Status(code) => Way::Answered(status(code)),
        Fault::Expired(key) => refused(
            request.head.contains(&format!("Credential={key}/")),
            error(403, "ExpiredTokenException"),
        ),
        Fault::Throttled => Way::Answered(error(400, "ThrottlingException")),
        Fault::Rejects(metric) => refused(
            arrived.iter().any(|arrived| arrived.metric.contains(metric)),
            error(400, "InvalidParameterValueException"),
        ),
        Fault::LargerThan(most) => refused(arrived.len() > most, status(413)),
    }
}

fn status(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} Sorry\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

fn accepted() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nsmithy-protocol: rpc-v2-cbor\r\nx-amzn-requestid: 1\r\ncontent-length: 0\r\n\r\n".to_vec()
}

/// An error of CloudWatch's, in CBOR: a map of one entry.
fn error(status: u16, code: &str) -> Vec<u8> {
    let code = format!("com.amazonaws.cloudwatch#{code}");
    let mut body = b"\xa1f__type\x78".to_vec();
    body.push(u8::try_from(code.len()).unwrap());
    body.extend(code.bytes());
    let head = format!(
        "HTTP/1.1 {status} Sorry\r\nsmithy-protocol: rpc-v2-cbor\r\ncontent-type: application/cbor\r\nx-amzn-requestid: 1\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// The datapoints of a PutMetricData request in CBOR; `None` if it is none.
fn datums(body: &[u8]) -> Option<Vec<Arrived>> {
    let request = Cbor(&mut &*body).value()?;
    let Some(Value::List(data)) = request.get("MetricData") else {
        return None;
    };
    let datum = |datum: &Value| {
        let text = |member: &str| datum.get(member).map(|value| format!("{value:?}"));
        let Some(Value::Number(start)) = datum.get("Timestamp") else {
            panic!("no `Timestamp` in {datum:?}");
        };
        Arrived {
            metric: [text("MetricName"), text("Dimensions")]
                .map(Option::unwrap_or_default)
                .join(" "),
            #[expect(clippy::cast_possible_truncation, reason = "seconds since the epoch")]
            start: *start as i64,
            content: ["Values", "Counts", "StatisticValues"]
                .map(|member| text(member).unwrap_or_default())
                .join(" "),
        }
    };
    Some(data.iter().map(datum).collect())
}

#[derive(Debug, PartialEq)]
enum Value {
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    End,
}

impl Value {
    fn get(&self, name: &str) -> Option<&Value> {
        let Self::Map(members) = self else {
            return None;
        };
        members
            .iter()
            .find(|(member, _)| member == name)
            .map(|(_, value)| value)
    }
}

/// Reads the part of CBOR that the SDK writes.
struct Cbor<'a, 'b>(&'a mut &'b [u8]);

impl Cbor<'_, '_> {
    fn bytes(&mut self, count: usize) -> Option<&[u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        *self.0 = rest;
        Some(bytes)
    }

    /// A number in so many bytes.
    fn unsigned(&mut self, count: usize) -> Option<u64> {
        let bytes = self.bytes(count)?;
        Some(
            bytes
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        )
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    #[expect(clippy::cast_possible_truncation, reason = "a test's sizes")]
    fn value(&mut self) -> Option<Value> {
        let first = self.unsigned(1)?;
        let (kind, short) = (first >> 5, first & 31);
        let is_open = short == 31;
        let number = match short {
            24 => self.unsigned(1)?,
            25 => self.unsigned(2)?,
            26 => self.unsigned(4)?,
            27 => self.unsigned(8)?,
            31 => u64::MAX,
            _ => short,
        };
        Some(match kind {
            0 => Value::Number(number as f64),
            1 => Value::Number(-1.0 - number as f64),
            3 => Value::Text(String::from_utf8(self.bytes(number as usize)?.to_vec()).ok()?),
            4 => Value::List(self.items(number)?),
            5 => {
                let mut members = Vec::new();
                while (members.len() as u64) < number {
                    let Value::Text(name) = self.value()? else {
                        break;
                    };
                    members.push((name, self.value()?));
                }
                Value::Map(members)
            }
            6 => self.value()?,
            _ if is_open => Value::End,
            _ if short == 26 => Value::Number(f64::from(f32::from_bits(number as u32))),
            _ if short == 27 => Value::Number(f64::from_bits(number)),
            _ => Value::Text(format!("simple {number}")),
        })
    }

    fn items(&mut self, count: u64) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        while (items.len() as u64) < count {
            match self.value()? {
                Value::End => break,
                item => items.push(item),
            }
        }
        Some(items)
    }
}
