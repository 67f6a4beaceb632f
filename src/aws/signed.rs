//! Requests to services whose SDK would be larger than all the rest of this program, for one call of each: signed by the SDK's
//! own signer, with its credentials.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::config::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;

use crate::finding::error_chain;
use crate::metric::Timestamp;
use crate::web::{Answered, Request, Unanswered, WebClient};

/// A request to be signed.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// As endpoints and signatures name it.
    pub(super) service: &'static str,
    pub(super) region: &'a str,
    pub(super) method: &'static str,
    /// With its query.
    pub(super) path: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: Vec<u8>,
}

impl Call<'_> {
    /// What was answered to the request that is made at `now`.
    pub(super) async fn make(
        self,
        config: &SdkConfig,
        web: &WebClient,
        now: Timestamp,
    ) -> Result<Answered, Unanswered> {
        let is_set = |flag: Option<bool>| flag == Some(true);
        let (fips, dual) = (is_set(config.use_fips()), is_set(config.use_dual_stack()));
        let of_region = || endpoint(self.service, self.region, fips, dual);
        let endpoint = config.endpoint_url().map_or_else(of_region, str::to_owned);
        let url = format!("{}{}", endpoint.trim_end_matches('/'), self.path);
        let signature = self.sign(config, &url, now).await;
        let signature = signature.map_err(|message| Unanswered {
            message,
            is_lost: false,
        })?;
        let given = self.headers.iter().copied();
        let signed = signature.iter().map(|(name, value)| (&**name, &**value));
        web.ask(Request {
            method: self.method,
            url: &url,
            headers: &given.chain(signed).collect::<Vec<_>>(),
            body: self.body,
        })
        .await
    }

    /// The headers that sign it.
    async fn sign(
        &self,
        config: &SdkConfig,
        url: &str,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, String> {
        let provider = config.credentials_provider();
        let provider = provider.ok_or("there are no credentials")?;
        let credentials = provider.provide_credentials().await;
        let credentials = credentials.map_err(|error| error_chain(&error))?;
        let identity = credentials.into();
        let since_epoch = u64::try_from(now.milliseconds()).unwrap_or(0);
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(since_epoch))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error_chain(&error))?;
        let headers = self.headers.iter().copied();
        let body = SignableBody::Bytes(&self.body);
        let request = SignableRequest::new(self.method, url, headers, body);
        let request = request.map_err(|error| error_chain(&error))?;
        let signed = sign(request, &parameters.into()).map_err(|error| error_chain(&error))?;
        let (headers, _) = signed.into_parts().0.into_parts();
        let headers = headers.iter();
        let headers = headers.map(|it| (it.name().to_owned(), it.value().to_owned()));
        Ok(headers.collect())
    }
}

/// As AWS names them, by partition.
pub(super) fn endpoint(service: &str, region: &str, fips: bool, dual: bool) -> String {
    let suffix = if fips { "-fips" } else { "" };
    let domain = match (region.starts_with("cn-"), dual) {
        (true, false) => "amazonaws.com.cn",
        (true, true) => "api.amazonwebservices.com.cn",
        (false, false) => "amazonaws.com",
        (false, true) => "api.aws",
    };
    format!("https://{service}{suffix}.{region}.{domain}")
}

/// ``NotFound: Topic does not exist``: what an answer says of an error, in XML or in JSON.
pub(super) fn said(answered: &Answered) -> String {
    let text = answered.body.as_str();
    let in_xml = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        Some(rest.split_once("</")?.0.to_owned())
    };
    let json = serde_json::from_str::<serde_json::Value>(text).ok();
    let in_json = |names: [&str; 3]| {
        let json = json.as_ref()?;
        let mut found = names.iter().filter_map(|name| json.get(name)?.as_str());
        found.next().map(str::to_owned)
    };
    let code = in_xml("Code").or_else(|| in_json(["__type", "Type", "code"]));
    let message = in_xml("Message").or_else(|| in_json(["message", "Message", "Reason"]));
    let status = answered.status;
    match (code, message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(only), None) | (None, Some(only)) => format!("status {status}: {only}"),
        (None, None) => format!("status {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_own_endpoints() {
        for (region, fips, dual, expected) in [
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
            assert_eq!(endpoint("ec2", region, fips, dual), expected);
        }
    }

    #[test]
    fn an_error_is_told_in_its_own_words() {
        let of = |body: &str| {
            let body = body.to_owned();
            said(&Answered { status: 404, body })
        };
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>Topic does not exist</Message></Error></ErrorResponse>";
        assert_eq!(of(xml), "NotFound: Topic does not exist");
        let json = r#"{"Type": "User", "Message": "Function not found"}"#;
        assert_eq!(of(json), "User: Function not found");
        assert_eq!(of("<html>"), "status 404");
    }
}
