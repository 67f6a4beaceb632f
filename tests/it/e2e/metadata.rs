//! The instance metadata service of an instance with a role, on loopback.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

/// The same after so many questions for which it has an error.
pub(super) fn serve_late(instance_id: &'static str, region: &'static str, errors: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let _ = match number < errors {
                true => write!(
                    stream,
                    "HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\n\r\n"
                ),
                false => answer(stream, instance_id, region),
            };
        }
    });
    address
}

/// Serves for as long as the test runs. Returns its address.
pub(super) fn serve(instance_id: &'static str, region: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = answer(stream.unwrap(), instance_id, region);
        }
    });
    address
}

fn answer(mut stream: TcpStream, instance_id: &str, region: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap()?;
    let token_shown = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .any(|line| line.to_lowercase() == "x-aws-ec2-metadata-token: token");
    let body = match request.split(' ').collect::<Vec<_>>()[..2] {
        ["PUT", "/latest/api/token"] => Some("token"),
        _ if !token_shown => None,
        ["GET", "/latest/meta-data/instance-id"] => Some(instance_id),
        ["GET", "/latest/meta-data/placement/region"] => Some(region),
        ["GET", "/latest/meta-data/ami-id"] => Some("ami-0e2e"),
        ["GET", "/latest/meta-data/instance-type"] => Some("t3.micro"),
        ["GET", "/latest/meta-data/instance-life-cycle"] => Some("spot"),
        ["GET", path] if path.contains("/tags/") && instance_id == "i-0untagged" => None,
        ["GET", "/latest/meta-data/tags/instance"] => Some("Name\naws:autoscaling:groupName"),
        ["GET", "/latest/meta-data/tags/instance/Name"] => Some("web"),
        [
            "GET",
            "/latest/meta-data/tags/instance/aws:autoscaling:groupName",
        ] => Some("web-group"),
        ["GET", "/latest/dynamic/instance-identity/document"] => {
            Some(r#"{"accountId": "111122223333", "region": "us-east-1"}"#)
        }
        ["GET", "/latest/meta-data/spot/instance-action"] if instance_id == "i-0spot" => {
            Some(r#"{"action": "terminate", "time": "2026-09-18T08:22:00Z"}"#)
        }
        ["GET", path]
            if path.trim_end_matches('/') == "/latest/meta-data/iam/security-credentials" =>
        {
            Some("role")
        }
        ["GET", "/latest/meta-data/iam/security-credentials/role"] => Some(
            r#"{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "test", "SecretAccessKey": "test", "Token": "t",
                "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z"}"#,
        ),
        _ => None,
    };
    let status = if body.is_some() {
        "200 OK"
    } else {
        "404 Not Found"
    };
    let body = body.unwrap_or_default();
    let ttl = "x-aws-ec2-metadata-token-ttl-seconds: 21600";
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{ttl}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
