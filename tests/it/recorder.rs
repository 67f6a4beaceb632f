//! An endpoint that takes the place of CloudWatch, and remembers what arrived. It has faults on demand.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use flate2::read::GzDecoder;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// It arrives, and the answer does not.
    AnswerLost,
    /// It does not arrive.
    Reset,
    Status(u16),
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
    /// Requests that arrived, in order.
    pub(crate) requests: Vec<Vec<Arrived>>,
    /// How many datapoints arrived without anybody being told.
    pub(crate) untold: usize,
    fault: Option<Fault>,
}

#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    pub(crate) port: u16,
    record: Arc<Mutex<Record>>,
}

impl Recorder {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let recorder = Self {
            port: listener.local_addr().unwrap().port(),
            record: Arc::default(),
        };
        let record = Arc::clone(&recorder.record);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let record = Arc::clone(&record);
                std::thread::spawn(move || while serve(&stream, &record).is_some() {});
            }
        });
        recorder
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.record.lock().unwrap().fault = Some(fault);
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

/// One request; `None` when there are no more.
fn serve(mut stream: &TcpStream, record: &Mutex<Record>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length, mut gzip) = (String::new(), 0, false);
    while reader.read_line(&mut line).ok()? > 2 {
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
        gzip |= name.eq_ignore_ascii_case("content-encoding") && value.trim() == "gzip";
        line.clear();
    }
    let mut body = Vec::new();
    let read = reader.take(length).read_to_end(&mut body).ok()?;
    if line.is_empty() && read == 0 || read as u64 != length {
        return None;
    }
    if gzip {
        let mut unpacked = Vec::new();
        GzDecoder::new(body.as_slice())
            .read_to_end(&mut unpacked)
            .unwrap();
        body = unpacked;
    }
    let arrived = datums(&body);
    let mut record = record.lock().unwrap();
    let fault = record.fault.unwrap_or(Fault::None);
    match fault {
        Fault::None => record.requests.push(arrived),
        Fault::AnswerLost => {
            record.untold += arrived.len();
            record.requests.push(arrived);
            return None;
        }
        Fault::Reset => return None,
        Fault::Status(_) => {}
    }
    drop(record);
    let answer = match fault {
        Fault::Status(status) => format!("HTTP/1.1 {status} Sorry\r\nx-amzn-requestid: 1\r\ncontent-length: 0\r\n\r\n"),
        _ => "HTTP/1.1 200 OK\r\nsmithy-protocol: rpc-v2-cbor\r\nx-amzn-requestid: 1\r\ncontent-length: 0\r\n\r\n".to_owned(),
    };
    stream.write_all(answer.as_bytes()).ok()
}

/// The datapoints of a PutMetricData request in CBOR.
fn datums(body: &[u8]) -> Vec<Arrived> {
    let request = Cbor(&mut &*body).value().unwrap();
    let Some(Value::List(data)) = request.get("MetricData") else {
        panic!("no `MetricData` in {request:?}");
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
    data.iter().map(datum).collect()
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
