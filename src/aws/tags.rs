//! The tags of an instance, from EC2 itself: where the instance's metadata options do not show them.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

use crate::finding::error_chain;
use crate::metric::Timestamp;
use crate::web::WebClient;

use super::signed::{Call, said};
use super::{ATTEMPTS_MAX, sdk_config};

/// For credentials and answer together.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks with `DescribeTags` at `now`. The error says why there is no answer.
pub async fn tags(
    region: &str,
    instance_id: &str,
    now: Timestamp,
) -> Result<BTreeMap<String, String>, String> {
    let asked = tokio::time::timeout(TIMEOUT, ask(region, instance_id, now)).await;
    asked.unwrap_or_else(|_| {
        let time = humantime::format_duration(TIMEOUT);
        Err(format!("no answer within {time}"))
    })
}

async fn ask(
    region: &str,
    instance_id: &str,
    now: Timestamp,
) -> Result<BTreeMap<String, String>, String> {
    let config = sdk_config(region, None, ATTEMPTS_MAX).await;
    let query = "Action=DescribeTags&Version=2016-11-15&Filter.1.Name=resource-id&Filter.1.Value.1";
    let call = Call {
        service: "ec2",
        region,
        method: "GET",
        path: &format!("/?{query}={instance_id}"),
        headers: &[],
        body: Vec::new(),
    };
    let answered = call.make(&config, &WebClient::default(), now).await;
    let answered = answered.map_err(|unanswered| unanswered.message)?;
    match answered.status {
        200 => read(&answered.body).map_err(|error| error_chain(&error)),
        _ => Err(said(&answered)),
    }
}

/// `<DescribeTagsResponse><tagSet><item><key>Name</key><value>web</value>…`
fn read(answer: &str) -> Result<BTreeMap<String, String>, XmlDecodeError> {
    // The decoder takes what is cut off for the end.
    if !answer.trim_end().ends_with("</DescribeTagsResponse>") {
        return Err(XmlDecodeError::custom("the answer is not whole"));
    }
    let mut document = Document::new(answer);
    let mut root = document.root_element()?;
    let mut tags = BTreeMap::new();
    while let Some(mut set) = root.next_tag() {
        if set.start_el().local() != "tagSet" {
            continue;
        }
        while let Some(mut item) = set.next_tag() {
            let (key, value) = pair(&mut item)?;
            tags.insert(key, value);
        }
    }
    Ok(tags)
}

fn pair(item: &mut ScopedDecoder<'_, '_>) -> Result<(String, String), XmlDecodeError> {
    let (mut key, mut value) = (String::new(), String::new());
    while let Some(mut member) = item.next_tag() {
        let name = member.start_el().local().to_owned();
        let text = try_data(&mut member)?.into_owned();
        match name.as_str() {
            "key" => key = text,
            "value" => value = text,
            _ => {}
        }
    }
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let answer = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeTagsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>r</requestId>
  <tagSet>
    <item><resourceId>i-1</resourceId><resourceType>instance</resourceType><key>Name</key><value>web &amp; more</value></item>
    <item><resourceId>i-1</resourceId><resourceType>instance</resourceType><key>empty</key><value/></item>
  </tagSet>
</DescribeTagsResponse>"#;
        let tags = read(answer).unwrap();
        let expected = [("Name", "web & more"), ("empty", "")];
        assert!(
            tags.iter()
                .map(|(key, value)| (&**key, &**value))
                .eq(expected)
        );
        assert!(read("<DescribeTagsResponse><tagSet><item>").is_err());
        assert!(read("no xml").is_err());
    }
}
