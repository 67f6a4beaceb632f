//! The tags of an instance, from EC2 itself: where the instance's metadata options do not show them.
//!
//! EC2's own SDK is larger than all the rest of this program together, for one call of its query protocol.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::config::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

use crate::finding::error_chain;
use crate::metric::Timestamp;
use crate::web;

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
    let is_set = |flag: Option<bool>| flag == Some(true);
    let (fips, dual) = (is_set(config.use_fips()), is_set(config.use_dual_stack()));
    let endpoint = config.endpoint_url();
    let endpoint = endpoint.map_or_else(|| endpoint_of(region, fips, dual), str::to_owned);
    let query = "Action=DescribeTags&Version=2016-11-15&Filter.1.Name=resource-id&Filter.1.Value.1";
    let url = format!("{}/?{query}={instance_id}", endpoint.trim_end_matches('/'));
    let provider = config.credentials_provider();
    let provider = provider.ok_or("there are no credentials")?;
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|error| error_chain(&error))?;
    let identity = credentials.into();
    let seconds = now.seconds().unsigned_abs();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("ec2")
        .time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error_chain(&error))?;
    let body = SignableBody::Bytes(&[]);
    let request = SignableRequest::new("GET", &url, std::iter::empty(), body);
    let request = request.map_err(|error| error_chain(&error))?;
    let signed = sign(request, &parameters.into()).map_err(|error| error_chain(&error))?;
    let (headers, _) = signed.into_parts().0.into_parts();
    let headers = headers.iter().map(|header| (header.name(), header.value()));
    let answer = web::get_with(&url, headers).await?;
    read(&answer).map_err(|error| format!("{endpoint}: {}", error_chain(&error)))
}

/// As AWS names them, by partition.
fn endpoint_of(region: &str, fips: bool, dual: bool) -> String {
    let name = if fips { "ec2-fips" } else { "ec2" };
    let domain = match (region.starts_with("cn-"), dual) {
        (true, false) => "amazonaws.com.cn",
        (true, true) => "api.amazonwebservices.com.cn",
        (false, false) => "amazonaws.com",
        (false, true) => "api.aws",
    };
    format!("https://{name}.{region}.{domain}")
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

    #[test]
    fn each_partition_has_its_own_endpoints() {
        for (region, fips, dual, endpoint) in [
            (
                "eu-west-1",
                false,
                false,
                "https://ec2.eu-west-1.amazonaws.com",
            ),
            (
                "us-east-1",
                true,
                false,
                "https://ec2-fips.us-east-1.amazonaws.com",
            ),
            ("us-east-1", false, true, "https://ec2.us-east-1.api.aws"),
            (
                "us-gov-west-1",
                false,
                false,
                "https://ec2.us-gov-west-1.amazonaws.com",
            ),
            (
                "cn-north-1",
                false,
                false,
                "https://ec2.cn-north-1.amazonaws.com.cn",
            ),
            (
                "cn-north-1",
                false,
                true,
                "https://ec2.cn-north-1.api.amazonwebservices.com.cn",
            ),
        ] {
            assert_eq!(endpoint_of(region, fips, dual), endpoint);
        }
    }
}
