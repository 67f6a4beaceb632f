//! TLS as the web config has it, by rustls: version 1.2 and 1.3.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, SupportedKxGroup, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion,
};
use webpki::EndEntityCert;

/// Curves by Go's names.
pub(super) const CURVES: [(&str, &dyn SupportedKxGroup); 4] = [
    ("CurveP256", aws_lc_rs::kx_group::SECP256R1),
    ("CurveP384", aws_lc_rs::kx_group::SECP384R1),
    ("X25519", aws_lc_rs::kx_group::X25519),
    ("X25519MLKEM768", aws_lc_rs::kx_group::X25519MLKEM768),
];

/// The cipher suites that can be had, by Go's names, which are those of IANA. Those of TLS 1.3 are there in any case.
pub(super) fn cipher_suites() -> Vec<&'static str> {
    let all = aws_lc_rs::ALL_CIPHER_SUITES.iter();
    let of_1_2 = all.filter(|suite| suite.tls13().is_none());
    of_1_2.filter_map(name).chain(SUITES_1_3).collect()
}

const SUITES_1_3: [&str; 3] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

fn name(suite: &SupportedCipherSuite) -> Option<&'static str> {
    suite.suite().as_str()
}

/// What is asked of clients beside their requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clients {
    pub(super) asks: bool,
    pub(super) required: bool,
    pub(super) verifies: bool,
    /// Alternative names of which a certificate must have one; empty: any will do.
    pub(super) allowed: Vec<String>,
}

impl Clients {
    /// Go's names, with what they ask, require and verify.
    pub(super) const NAMES: [(&str, [bool; 3]); 5] = [
        ("NoClientCert", [false, false, false]),
        ("RequestClientCert", [true, false, false]),
        ("RequireAnyClientCert", [true, true, false]),
        ("VerifyClientCertIfGiven", [true, false, true]),
        ("RequireAndVerifyClientCert", [true, true, true]),
    ];

    /// A name of before, which the exporter-toolkit still takes.
    pub(super) const ALIAS: (&str, &str) = ("RequireClientCert", "RequireAnyClientCert");

    pub(super) fn named(name: &str) -> Self {
        let name = if name == Self::ALIAS.0 {
            Self::ALIAS.1
        } else {
            name
        };
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        let [asks, required, verifies] = found.map_or([false; 3], |(_, kind)| *kind);
        Self {
            asks,
            required,
            verifies,
            allowed: Vec::new(),
        }
    }
}

/// What the file says of TLS, with names that are known.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    pub(super) certificate: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) client_ca: Option<&'a [u8]>,
    pub(super) clients: Clients,
    pub(super) versions: RangeInclusive<&'static str>,
    /// Of TLS 1.2; `None`: all.
    pub(super) suites: Option<Vec<String>>,
    pub(super) curves: Option<Vec<String>>,
}

/// The member that is wrong, and why.
type Wrong = (&'static str, String);

impl Settings<'_> {
    pub(super) fn build(self) -> Result<ServerConfig, Wrong> {
        let chain = certificates(self.certificate).map_err(|error| ("cert", error))?;
        let key = PrivateKeyDer::from_pem_slice(self.key)
            .map_err(|_| ("key", "`key` holds no private key in PEM".to_owned()))?;
        let provider = Arc::new(self.provider());
        let tls12 = self
            .versions
            .contains(&"TLS12")
            .then_some(&rustls::version::TLS12);
        let tls13 = self
            .versions
            .contains(&"TLS13")
            .then_some(&rustls::version::TLS13);
        let versions: Vec<&SupportedProtocolVersion> = tls12.into_iter().chain(tls13).collect();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|error| ("cipher_suites", format!("TLS cannot be set up: {error}")))?;
        let builder = match self.clients.asks {
            false => builder.with_no_client_auth(),
            true => builder.with_client_cert_verifier(self.verifier(provider)?),
        };
        builder
            .with_single_cert(chain, key)
            .map_err(|error| ("key", format!("certificate and key do not fit: {error}")))
    }

    fn provider(&self) -> CryptoProvider {
        let mut provider = aws_lc_rs::default_provider();
        if let Some(suites) = self.suites.as_ref().filter(|suites| !suites.is_empty()) {
            provider.cipher_suites.retain(|suite| {
                suite.tls13().is_some()
                    || name(suite).is_some_and(|name| suites.iter().any(|suite| suite == name))
            });
        }
        if let Some(curves) = self.curves.as_ref().filter(|curves| !curves.is_empty()) {
            let group = |curve: &String| CURVES.iter().find(|(name, _)| name == curve);
            provider.kx_groups = curves
                .iter()
                .filter_map(group)
                .map(|(_, group)| *group)
                .collect();
        }
        provider
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Arc<Verifier>, Wrong> {
        let wrong = |error: String| ("client_ca", error);
        let chain = match self.client_ca.filter(|_| self.clients.verifies) {
            None => None,
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem).map_err(wrong)? {
                    roots
                        .add(certificate)
                        .map_err(|error| wrong(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(
                    Arc::new(roots),
                    Arc::clone(&provider),
                );
                Some(verifier.build().map_err(|error| wrong(error.to_string()))?)
            }
        };
        Ok(Arc::new(Verifier {
            chain,
            clients: self.clients.clone(),
            provider,
        }))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err("there is no certificate in PEM".to_owned()),
        Err(error) => Err(format!("this is no PEM: {error}")),
    }
}

/// Looks at the certificates of clients, in Go's five ways.
#[derive(Debug)]
struct Verifier {
    /// `None`: who signed a certificate does not matter.
    chain: Option<Arc<dyn ClientCertVerifier>>,
    clients: Clients,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.clients.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain
            .as_ref()
            .map_or(&[], |chain| chain.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if let Some(chain) = &self.chain {
            chain.verify_client_cert(end_entity, intermediates, now)?;
        }
        let allowed = &self.clients.allowed;
        if allowed.is_empty() || has_one_of(end_entity, allowed) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Whether one of the names stands in a certificate as it is: that of a host, an IP address or a URI.
fn has_one_of(certificate: &CertificateDer<'_>, allowed: &[String]) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return false;
    };
    let is_known = |name: &str| allowed.iter().any(|allowed| allowed == name);
    let is_its_address = |name: &String| {
        name.parse::<IpAddr>().is_ok_and(|address| {
            let name = ServerName::IpAddress(address.into());
            certificate.verify_is_valid_for_subject_name(&name).is_ok()
        })
    };
    certificate.valid_dns_names().any(is_known)
        || certificate.valid_uri_names().any(is_known)
        || allowed.iter().any(is_its_address)
}
